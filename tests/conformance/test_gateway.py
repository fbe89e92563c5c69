"""Who may call: the two schemes of Tencent Cloud API Gateway, over HTTP.

Documents 628/55088 (application keys), 628/11819 (key pairs) and the gateway's list of errors. The
schemes' known signatures need a clock of their own: see `services/dispatch/tests/test_authentication.py`.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import httpx
import pytest

from panoreel.signing.client import Credentials, Request, sign, sign_key_pair
from tests.conformance.conftest import ADMIN, PAIR, SCHOOL, Api

BODY = b'{"Action": "Describe", "Data": {"TaskID": "none"}}'
BEFORE = "HMAC signature cannot be verified"

Headers = dict[str, str]


def signed(credentials: Credentials = SCHOOL, **headers: str) -> Headers:
    """What a good request sends."""
    return sign(credentials, Request("POST", "/record", BODY, headers), datetime.now(UTC))


def late(seconds: int) -> Headers:
    return sign(SCHOOL, Request("POST", "/record", BODY), datetime.now(UTC) + timedelta(seconds=seconds))


def altered(pattern: str, replacement: str) -> Headers:
    """A good request whose `Authorization` was changed."""
    headers = signed()
    before = headers["Authorization"]
    headers["Authorization"] = re.sub(pattern, replacement, before)
    assert headers["Authorization"] != before
    return headers


def without(name: str) -> Headers:
    return {key: value for key, value in signed().items() if key != name}


def pair(*also: str, seconds: int = 0, **headers: str) -> Headers:
    return sign_key_pair(PAIR, headers, datetime.now(UTC) + timedelta(seconds=seconds), also)


ACCEPTED: list[tuple[str, Callable[[], Headers]]] = [
    ("application key", signed),
    ("the secret that is being retired", lambda: signed(Credentials("school", "retiring-secret"))),
    *(
        (algorithm, lambda algorithm=algorithm: signed(Credentials("school", "school-secret", algorithm)))
        for algorithm in ("hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512")
    ),
    ("scheme in capitals", lambda: altered("^hmac", "HMAC")),
    ("no blanks after commas", lambda: altered(", ", ",")),
    ("parameters in another order", lambda: altered(r"(id=[^,]+), (.*)", r"\2, \1")),
    (
        "one more signed header",
        lambda: sign(
            SCHOOL, Request("POST", "/record", BODY, {"Source": "x"}), datetime.now(UTC), ["source"]
        ),
    ),
    ("13 minutes early", lambda: late(780)),
    ("13 minutes late", lambda: late(-780)),
    ("key pair", pair),
    ("key pair, a header more", lambda: pair("source", source="me")),
    ("admin key", lambda: signed(ADMIN)),
]

REFUSED: list[tuple[Callable[[], Headers], str]] = [
    (lambda: without("Authorization"), f"{BEFORE}, a validate authorization header is required"),
    (lambda: signed() | {"Authorization": "Basic eDp5"}, "HMAC authorization format error"),
    (lambda: altered('id="[^"]*"', 'id=""'), "HMAC id or signature missing"),
    (lambda: altered(', signature="[^"]*"', ""), "HMAC id or signature missing"),
    (lambda: altered(', headers="[^"]*"', ""), "HMAC authorization headers is invalidate"),
    (lambda: altered(', algorithm="[^"]*"', ""), "HMAC authorization headers is invalidate"),
    (lambda: altered("hmac-sha256", "hmac-md5"), "HMAC algorithm hmac-md5 not supported"),
    (
        lambda: without("X-Date"),
        f"{BEFORE}, a valid x-date header is required for HMAC Authentication",
    ),
    (
        lambda: altered('headers="x-date"', 'headers="accept"'),
        f"{BEFORE}, a valid x-date header is required for HMAC Authentication",
    ),
    (
        lambda: signed() | {"X-Date": "2026-01-01T00:00:00Z"},
        f"{BEFORE}, a valid x-date header is required for HMAC Authentication",
    ),
    (
        lambda: late(960),
        f"{BEFORE}, the x-date header is out of date for HMAC Authentication",
    ),
    (
        lambda: late(-960),
        f"{BEFORE}, the x-date header is out of date for HMAC Authentication",
    ),
    (lambda: altered('"x-date"', '"x-date source"'), f"{BEFORE}, a valid source header is required"),
    (lambda: signed(Credentials("nobody", "x")), BEFORE),
    (lambda: signed(Credentials("disabled", "x")), BEFORE),
    (lambda: signed(Credentials("bound", "x")), "HMAC apikey is invalid for API"),
    (lambda: signed(Credentials("school", "wrong")), "HMAC signature does not match"),
    (lambda: signed() | {"Accept": "*/*"}, "HMAC signature does not match"),
    (lambda: signed() | {"Content-MD5": "another body's"}, "HMAC signature does not match"),
    # A key is of one kind: a short signature by an application key would be a downgrade.
    (
        lambda: sign_key_pair(SCHOOL, {}, datetime.now(UTC)),
        "HMAC signature does not match",
    ),
    (lambda: signed(PAIR), "HMAC signature does not match"),
    (
        lambda: {"Authorization": pair()["Authorization"]},
        f"{BEFORE}, a valid date or x-date header is required",
    ),
    (
        lambda: pair(seconds=-960),
        f"{BEFORE}, the x-date header is out of date for HMAC Authentication",
    ),
]


@pytest.mark.parametrize(("name", "headers"), ACCEPTED, ids=[name for name, _ in ACCEPTED])
def test_accepted(api: Api, name: str, headers: Callable[[], Headers]) -> None:
    answer = httpx.post(f"{api.dispatch.url}/record", content=BODY, headers=headers())
    assert answer.status_code == HTTPStatus.OK, (name, answer.text)
    assert answer.json()["ErrorMessage"] == "invalid task id, task not found"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Api-RequestId"])
    assert answer.json()["RequestID"] == answer.headers["X-Api-RequestId"]


@pytest.mark.parametrize(
    ("headers", "message"), REFUSED, ids=[f"{n}-{row[1]}" for n, row in enumerate(REFUSED)]
)
def test_refused(api: Api, headers: Callable[[], Headers], message: str) -> None:
    answer = httpx.post(f"{api.dispatch.url}/record", content=BODY, headers=headers())
    assert answer.status_code == HTTPStatus.UNAUTHORIZED
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.text == json.dumps({"message": message}, separators=(",", ":")) + "\n"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Api-RequestId"])


def test_another_body_is_refused(api: Api) -> None:
    answer = httpx.post(
        f"{api.dispatch.url}/record", content=BODY.replace(b"none", b"some"), headers=signed()
    )
    assert answer.json() == {"message": "HMAC signature does not match"}


def test_a_header_that_comes_twice_is_refused(api: Api) -> None:
    headers = [*signed().items(), ("X-Date", "Thu, 11 Mar 2021 08:29:58 GMT")]
    answer = httpx.post(f"{api.dispatch.url}/record", content=BODY, headers=headers)
    assert answer.json() == {"message": "HMAC do not support multiple HTTP header"}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/nowhere", HTTPStatus.NOT_FOUND, "There is no api match uri[/nowhere]"),
        ("POST", "/record/", HTTPStatus.NOT_FOUND, "There is no api match uri[/record/]"),
        ("PUT", "/record", HTTPStatus.NOT_FOUND, "There is no api match method[PUT]"),
    ],
)
def test_a_wrong_place(api: Api, method: str, path: str, status: int, message: str) -> None:
    url = f"{api.dispatch.url}{path}"
    headers = sign(SCHOOL, Request(method, url, BODY), datetime.now(UTC))
    answer = httpx.request(method, url, content=BODY, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"message": message})


def test_a_body_that_is_too_long_is_refused(api: Api) -> None:
    answer = api.post(b" " * (512 * 1024 + 1))
    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "APPLICATION/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded ;q",
    ],
)
def test_a_form_is_refused(api: Api, content_type: str) -> None:
    content = b"a=b"
    url = f"{api.dispatch.url}/record"
    kind = {"Content-Type": content_type}
    headers = sign(SCHOOL, Request("POST", url, content, kind), datetime.now(UTC))
    answer = httpx.post(url, content=content, headers=headers).json()
    assert answer["ErrorCode"] == "InvalidParam"
    assert answer["ErrorMessage"] == "Content-Type must be application/json"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
def test_what_is_open_to_all(api: Api, path: str) -> None:
    assert httpx.get(f"{api.dispatch.url}{path}").status_code == HTTPStatus.OK
