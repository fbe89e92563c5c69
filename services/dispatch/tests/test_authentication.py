"""The decision about a signed request: known signatures, what is tolerated, and every refusal."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from panoreel.dispatch.authentication.errors import Unauthorized
from panoreel.dispatch.authentication.keys import Key, Keys, parse_keys
from panoreel.dispatch.authentication.request import SignedRequest
from panoreel.dispatch.authentication.verification import check_signature, claimed
from panoreel.signing.strings import content_md5, content_md5_rfc1864, signature

DATE = "Thu, 11 Mar 2021 08:29:58 GMT"
NOW = datetime.fromtimestamp(1615451398, UTC)
APPLICATION_ID = "APIDdemoKey0000000000000000000000000001"
APPLICATION_SECRET = "demoSecret00000000000000000000000000001x"
PAIR_ID = "AKIDdemo0000000000000000000000000001"
PAIR_SECRET = "demoSecretKey000000000000000001"

KEYS = parse_keys(
    b"""{"keys": [
    {"id": "APIDdemoKey0000000000000000000000000001", "application": "school-1",
     "secrets": ["a new one", "demoSecret00000000000000000000000000001x"]},
    {"id": "AKIDdemo0000000000000000000000000001", "application": "school-2", "kind": "key_pair",
     "secrets": ["demoSecretKey000000000000000001"]},
    {"id": "disabled", "application": "school-1", "enabled": false,
     "secrets": ["demoSecret00000000000000000000000000001x"]},
    {"id": "bound", "application": "school-1", "paths": ["/other"],
     "secrets": ["demoSecret00000000000000000000000000001x"]}
    ]}"""
)

A1_BODY = b'{"Action":"Describe","Data":{"TaskID":"0f7d9522-a1a3-4517-b5ad-7a6ecaf9c419"}}'
A2_BODY = '{"Action":"Start","Data":{"RecordURL":"https://example.com/课堂","Width":1280}}'.encode()
A1_SHA1 = "ZECD4Wfxc13rwEXjFAeN98fNWCc="
JSON = {"accept": "application/json", "content-type": "application/json"}
FORM = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}

REQUIRED_X_DATE = (
    "HMAC signature cannot be verified, a valid x-date header is required for HMAC Authentication"
)
REQUIRED_DATE = "HMAC signature cannot be verified, a valid date or x-date header is required"
OUT_OF_DATE = "HMAC signature cannot be verified, the x-date header is out of date for HMAC Authentication"
MISMATCH = "HMAC signature does not match"
MULTIPLE = "HMAC do not support multiple HTTP header"
FORMAT = "HMAC authorization format error"


def authorization(
    signed: str,
    key_id: str = APPLICATION_ID,
    algorithm: str = "hmac-sha1",
    headers: str = "x-date",
) -> str:
    return f'hmac id="{key_id}", algorithm="{algorithm}", headers="{headers}", signature="{signed}"'


def request(target: str, headers: dict[str, str], body: bytes = b"", method: str = "POST") -> SignedRequest:
    path, _, query = target.partition("?")
    complete = {"x-date": DATE} | headers
    raw = [(name.encode(), value.encode()) for name, value in complete.items()]
    return SignedRequest(method, path, query.encode(), raw, body)


def a1(**changes: Any) -> SignedRequest:
    return replace(request("/record", JSON | {"authorization": authorization(A1_SHA1)}, A1_BODY), **changes)


def a1_with(headers: dict[str, str | None]) -> SignedRequest:
    """A1 with some headers replaced, added, or (None) left out."""
    merged = {"x-date": DATE, **JSON, "authorization": authorization(A1_SHA1), **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in merged.items() if value is not None]
    return a1(headers=raw)


def signed_with(string: str, algorithm: str = "hmac-sha1", secret: str = APPLICATION_SECRET) -> str:
    return base64.b64encode(signature(secret, algorithm, string.encode())).decode()


def verify(request: SignedRequest, keys: Keys, now: datetime, **options: Any) -> Key:
    """The key that signed the request; all that can be refused without the body is."""
    claim = claimed(replace(request, body=b""), keys, now, **options)
    check_signature(request, claim)
    return claim.key


def refusal(refused: SignedRequest, now: datetime = NOW, keys: Keys = KEYS, **options: Any) -> str:
    with pytest.raises(Unauthorized) as caught:
        verify(refused, keys, now, **options)
    assert caught.value.status == 401
    assert APPLICATION_SECRET not in repr(caught.value)
    return caught.value.message


# Known signatures of application keys


def test_content_md5_in_both_forms() -> None:
    assert content_md5(A1_BODY) == b"Mjk4M2ZiM2UxZTk2MzRlOWEzMDgwNzkzYzQxODA4ZTQ="
    assert content_md5_rfc1864(A1_BODY) == b"KYP7Ph6WNOmjCAeTxBgI5A=="
    assert content_md5(A2_BODY) == b"OTM2YWQxM2NlYTkxOGFhOGEyZWZjODhiYzVkNzg4OWY="


@pytest.mark.parametrize(
    ("signed", "algorithm"),
    [
        (A1_SHA1, "hmac-sha1"),
        ("9u+/5Tn802A3AYWfyHlojyet2sCCaT9n8eJkHrpaia0=", "hmac-sha256"),
        ("9u+/5Tn802A3AYWfyHlojyet2sCCaT9n8eJkHrpaia0=", "HMAC-SHA256"),
        ("bF8aV/Pr0uk13K5RMvkM2bd3FEY=", "hmac-sha1"),
    ],
)
def test_a1_json(signed: str, algorithm: str) -> None:
    key = verify(a1_with({"authorization": authorization(signed, algorithm=algorithm)}), KEYS, NOW)
    assert (key.id, key.application, key.admin) == (APPLICATION_ID, "school-1", False)


@pytest.mark.parametrize(
    ("md5", "signed"),
    [
        ("Mjk4M2ZiM2UxZTk2MzRlOWEzMDgwNzkzYzQxODA4ZTQ=", A1_SHA1),
        ("KYP7Ph6WNOmjCAeTxBgI5A==", "bF8aV/Pr0uk13K5RMvkM2bd3FEY="),
    ],
)
def test_a_sent_content_md5_is_the_signed_one(md5: str, signed: str) -> None:
    verify(a1_with({"content-md5": md5, "authorization": authorization(signed)}), KEYS, NOW)


def test_a_sent_content_md5_leaves_no_choice() -> None:
    sent = a1_with({"content-md5": "KYP7Ph6WNOmjCAeTxBgI5A=="})
    assert refusal(sent) == MISMATCH, "A1's signature covers the other form"


@pytest.mark.parametrize("algorithm", ["hmac-sha384", "hmac-sha512"])
def test_longer_hashes(algorithm: str) -> None:
    string = (
        f"x-date: {DATE}\nPOST\napplication/json\napplication/json\n{content_md5(A1_BODY).decode()}\n/record"
    )
    signed = authorization(signed_with(string, algorithm), algorithm=algorithm)
    verify(a1_with({"authorization": signed}), KEYS, NOW)


def test_a2_body_beyond_ascii() -> None:
    signed = JSON | {"authorization": authorization("jL34ILPypu3jqJR+CivfI5MBtrs=")}
    verify(request("/record", signed, A2_BODY), KEYS, NOW)
    cut = request("/record", signed, A2_BODY[:77])
    assert refusal(cut) == MISMATCH, "as from a client that counts characters for Content-Length"


def test_a3_query() -> None:
    signed = JSON | {"authorization": authorization("hQQjoEL7Z+Wqxz2MyA9VXhKWZfA=")}
    verify(request("/tasks?b=1&flag=&a=2", signed, method="GET"), KEYS, NOW)
    assert refusal(request("/tasks?b=1&flag=&a=3", signed, method="GET")) == MISMATCH


def test_a4_form_and_two_signed_headers() -> None:
    signed = authorization("Q7XISCo6I0mhfJTkKOOGxV6DD8I=", headers="source x-date")
    verify(request("/", FORM | {"source": "apigw test", "authorization": signed}, b"p=test"), KEYS, NOW)


@pytest.mark.parametrize("signed", ["PdHI39fY5A+jwLSr6/6J4rt4qIU=", "NFr5gEOP32nHXd1yEjrq273BVbs="])
def test_a5_form_and_query_decoded_or_encoded(signed: str) -> None:
    form = FORM | {"authorization": authorization(signed)}
    verify(request("/record?z=9", form, b"b=1&a=x+y"), KEYS, NOW)
    with_charset = form | {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert refusal(request("/record?z=9", with_charset, b"b=1&a=x+y")) == MISMATCH


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-Urlencoded ;x"]
)
def test_a_form_by_another_spelling(kind: str) -> None:
    signed = signed_with(f"x-date: {DATE}\nPOST\n\n{kind}\n\n/record?p=test")
    headers = {"content-type": kind, "authorization": authorization(signed)}
    verify(request("/record", headers, b"p=test"), KEYS, NOW)


def test_a6_everything_optional_absent() -> None:
    verify(request("/record", {"authorization": authorization("kuO+OAneQhDCb+v/uC5T23Ib388=")}), KEYS, NOW)


# What is tolerated


@pytest.mark.parametrize(
    "header",
    [
        'HMAC id="{id}",algorithm="hmac-sha1",headers="x-date",signature="{signed}"',
        'hmac   signature="{signed}" , headers="x-date" ,  algorithm="hmac-sha1",id="{id}"',
        '  hmac id="{id}", algorithm="hmac-sha1", headers=" X-Date  ", signature="{signed}" ',
    ],
)
def test_spellings_of_the_header(header: str) -> None:
    text = header.format(id=APPLICATION_ID, signed=A1_SHA1)
    verify(a1_with({"authorization": text}), KEYS, NOW)


@pytest.mark.parametrize("order", ["x-date source", "source x-date"])
def test_headers_are_signed_sorted_or_as_listed(order: str) -> None:
    lines = {"x-date": f"x-date: {DATE}", "source": "source: me"}
    tail = "POST\n\n\n\n/record"
    as_listed = "\n".join(lines[name] for name in order.split())
    in_order = f"source: me\nx-date: {DATE}"
    for headers in (as_listed, in_order):
        signed = authorization(signed_with(f"{headers}\n{tail}"), headers=order)
        verify(request("/record", {"source": " me ", "authorization": signed}), KEYS, NOW)


def test_a_sorted_list_is_not_signed_otherwise() -> None:
    signed = signed_with(f"x-date: {DATE}\nsource: me\nPOST\n\n\n\n/record")
    sent = {"source": "me", "authorization": authorization(signed, headers="source x-date")}
    assert refusal(request("/record", sent)) == MISMATCH


@pytest.mark.parametrize(
    ("target", "last_line"),
    [
        ("", "/"),
        ("?a=1", "/?a=1"),
        ("/record?a=1&a=2", "/record?a=1"),
        ("/record?ab=1&a=2&&a-=3", "/record?a=2&a-=3&ab=1"),
        ("/record?u=%E8%AF%BE+x%26y", "/record?u=课 x&y"),
        ("/record?u=%E8%AF%BE+x%26y", "/record?u=%E8%AF%BE+x%26y"),
        ("/record?a==", "/record?a=="),
    ],
)
def test_path_and_parameters(target: str, last_line: str) -> None:
    signed = signed_with(f"x-date: {DATE}\nGET\n\n\n\n{last_line}")
    verify(request(target, {"authorization": authorization(signed)}, method="GET"), KEYS, NOW)


def test_multipart_is_no_form() -> None:
    kind = "multipart/form-data; boundary=x"
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    signed = signed_with(f"x-date: {DATE}\nPOST\n\n{kind}\n{content_md5(body).decode()}\n/record")
    verify(
        request("/record", {"content-type": kind, "authorization": authorization(signed)}, body), KEYS, NOW
    )


def test_content_md5_without_a_body_is_taken_as_sent() -> None:
    signed = signed_with(f"x-date: {DATE}\nPOST\n\n\nwhatever\n/record")
    verify(request("/record", {"content-md5": "whatever", "authorization": authorization(signed)}), KEYS, NOW)


@pytest.mark.parametrize("seconds", [-900, 0, 900])
def test_clocks_may_differ_by_fifteen_minutes(seconds: int) -> None:
    verify(a1(), KEYS, NOW + timedelta(seconds=seconds))


# Refusals, in the order in which they are found


@pytest.mark.parametrize("seconds", [-901, -900.001, 900.001, 901])
def test_a_clock_that_differs_by_more(seconds: float) -> None:
    assert refusal(a1(), NOW + timedelta(seconds=seconds)) == OUT_OF_DATE


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "HMAC signature cannot be verified, a validate authorization header is required"),
        ("", FORMAT),
        ("hmac", FORMAT),
        ("hmac ", FORMAT),
        ("Basic dXNlcjpwYXNz", FORMAT),
        ('hmacid="a"', FORMAT),
        ('hmac id="a" signature="b"', FORMAT),
        ('hmac id="a", signature="b",', FORMAT),
        ('hmac id="a", signature=b', FORMAT),
        ('hmac id="a", id="a", signature="b"', FORMAT),
        ('hmac id="a", ID="a", signature="b"', FORMAT),
        ('hmac id="a", signature="b", nonce="c"', FORMAT),
        ('hmac id="a", algorithm="hmac-sha1", headers="x-date"', "HMAC id or signature missing"),
        ('hmac algorithm="hmac-sha1", headers="x-date", signature="b"', "HMAC id or signature missing"),
        ('hmac id="", signature="b"', "HMAC id or signature missing"),
        ('hmac id="a", signature=""', "HMAC id or signature missing"),
        ('hmac id="a", signature="b"', "HMAC authorization headers is invalidate"),
        ('hmac id="a", headers="x-date", signature="b"', "HMAC authorization headers is invalidate"),
        ('hmac id="a", algorithm="hmac-sha1", signature="b"', "HMAC authorization headers is invalidate"),
        (
            'hmac id="a", algorithm="x", headers=" ", signature="b"',
            "HMAC authorization headers is invalidate",
        ),
        (authorization("b", algorithm="hmac-md5"), "HMAC algorithm hmac-md5 not supported"),
        (authorization("b", algorithm="hmac-SM3"), "HMAC algorithm hmac-SM3 not supported"),
        (authorization("b", headers="date"), REQUIRED_X_DATE),
        (
            authorization("b", headers="x-date Source"),
            "HMAC signature cannot be verified, a valid source header is required",
        ),
        (authorization("b", key_id="nobody"), "HMAC signature cannot be verified"),
        (authorization(A1_SHA1, key_id="disabled"), "HMAC signature cannot be verified"),
        (authorization(A1_SHA1, key_id="bound"), "HMAC apikey is invalid for API"),
        (authorization("7u7Cc4QZ4z4qDrjxLZquihaY7RI="), MISMATCH),
        (authorization("no base64"), MISMATCH),
        (authorization(A1_SHA1.rstrip("=")), MISMATCH),
        (authorization(A1_SHA1.replace("Cc=", "Cd=")), MISMATCH),
        (authorization("é"), MISMATCH),
    ],
)
def test_what_the_header_lacks(header: str | None, message: str) -> None:
    assert refusal(a1_with({"authorization": header})) == message


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "1615451398",
        "2021-03-11T08:29:58Z",
        "Thu, 11 Mar 2021 08:29:58 +0000",
        "Thu, 11 Mar 2021 08:29:60 GMT",
        "Thu, 31 Feb 2021 08:29:58 GMT",
        "Do, 11 Mrz 2021 08:29:58 GMT",
        "Thu, \u0661\u0661 Mar 2021 08:29:58 GMT".encode().decode("latin-1"),
    ],
)
def test_a_date_that_is_none_counts_as_missing(date: str | None) -> None:
    assert refusal(a1_with({"x-date": date})) == REQUIRED_X_DATE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-date", DATE),
        ("X-Date", DATE),
        ("accept", "*/*"),
        ("content-type", "text/plain"),
        ("content-md5", "x"),
    ],
)
def test_a_repeated_header_that_is_signed(name: str, value: str) -> None:
    twice = a1_with({"content-md5": content_md5(A1_BODY).decode()})
    verify(twice, KEYS, NOW)
    twice = replace(twice, headers=[*twice.headers, (name.encode(), value.encode())])
    assert refusal(twice) == MULTIPLE


def test_a_repeated_authorization() -> None:
    twice = a1(headers=[*a1().headers, (b"authorization", authorization(A1_SHA1).encode())])
    assert refusal(twice) == MULTIPLE


@pytest.mark.parametrize(
    "changed",
    [
        a1(body=A1_BODY.replace(b"c419", b"c418")),
        a1(body=b""),
        a1(method="PUT"),
        a1(path="/"),
        a1(query=b"x=1"),
        a1_with({"accept": "*/*"}),
        a1_with({"accept": None}),
        a1_with({"content-type": "application/json; charset=utf-8"}),
        a1_with({"content-md5": content_md5(A2_BODY).decode()}),
        a1_with({"content-md5": ""}),
        a1_with({"x-date": "Thu, 11 Mar 2021 08:29:59 GMT"}),
    ],
)
def test_what_is_signed_cannot_be_changed(changed: SignedRequest) -> None:
    assert refusal(changed) == MISMATCH


def test_a_retired_secret_is_refused() -> None:
    retired = parse_keys(
        f'{{"keys": [{{"id": "{APPLICATION_ID}", "application": "a", "secrets": ["a new one"]}}]}}'.encode()
    )
    assert refusal(a1(), keys=retired) == MISMATCH


def test_too_many_parameters_are_not_looked_at() -> None:
    def many(count: int) -> SignedRequest:
        pairs = "&".join(f"{number:04}=x" for number in range(count))
        signed = signed_with(f"x-date: {DATE}\nGET\n\n\n\n/record?{pairs}")
        return request(f"/record?{pairs}", {"authorization": authorization(signed)}, method="GET")

    verify(many(1000), KEYS, NOW)
    assert refusal(many(1001)) == MISMATCH


def test_a_mismatch_carries_the_canonical_string() -> None:
    with pytest.raises(Unauthorized) as caught:
        verify(a1_with({"accept": "*/*"}), KEYS, NOW)
    md5 = "Mjk4M2ZiM2UxZTk2MzRlOWEzMDgwNzkzYzQxODA4ZTQ="
    canonical = f"x-date: {DATE}\nPOST\n*/*\napplication/json\n{md5}\n/record"
    assert caught.value.string_to_sign == canonical.encode()
    with pytest.raises(Unauthorized) as caught:
        verify(a1_with({"authorization": authorization(A1_SHA1, key_id="nobody")}), KEYS, NOW)
    assert caught.value.string_to_sign is None


# Key pairs


def by_pair(
    signed: str, listed: str, algorithm: str = "hmac-sha1", key_id: str = PAIR_ID, **headers: str
) -> SignedRequest:
    """Headers are given as `x_date`; method, path and body are not covered."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"authorization", authorization(signed, key_id, algorithm, listed).encode()))
    return SignedRequest("POST", "/record", b"", raw, A1_BODY)


SOURCE = "RecordClient"
K1_DATE = "Fri, 09 Oct 2015 00:00:00 GMT"
K1 = by_pair("UW/pEQbnUOCaf9MsL68lnajFkPg=", "date source", date=K1_DATE, source=SOURCE)
K2 = by_pair("NhCHQA+SGNDcMl2mDnlWdizJN2Y=", "x-date source", x_date=DATE, source=SOURCE)
K3 = by_pair("vXLmqdZwCpDGF4DWpiGe0pREBkg=", "source x-date", x_date=DATE, source=SOURCE)
K4 = by_pair("yjQy58hYktnkT5TzqS0tjvmoPG8=", "x-date", x_date=DATE)
K5 = by_pair("bqWnghA8Vmvz6YVHPRw2mNwcaHdDR+uOcOlm/qmDQWo=", "x-date", "hmac-sha256", x_date=DATE)


@pytest.mark.parametrize("known", [K2, K3, K4, K5])
def test_known_signatures_of_key_pairs(known: SignedRequest) -> None:
    for dates in ("strict", "compat"):
        assert verify(known, KEYS, NOW, key_pair_dates=dates).application == "school-2"
    assert refusal(known, NOW + timedelta(seconds=901), key_pair_dates="compat") == OUT_OF_DATE


def test_only_the_listed_order_counts() -> None:
    swapped = by_pair("NhCHQA+SGNDcMl2mDnlWdizJN2Y=", "source x-date", x_date=DATE, source=SOURCE)
    assert refusal(swapped) == MISMATCH


def test_a_date_alone_never_expires_with_compat_only() -> None:
    verify(K1, KEYS, NOW, key_pair_dates="compat")
    assert refusal(K1) == OUT_OF_DATE
    verify(K1, KEYS, datetime(2015, 10, 9, 0, 15, tzinfo=UTC))


def test_x_date_counts_if_both_are_signed() -> None:
    string = f"date: {DATE}\nx-date: {K1_DATE}"
    both = by_pair(signed_with(string, secret=PAIR_SECRET), "date x-date", date=DATE, x_date=K1_DATE)
    for dates in ("strict", "compat"):
        assert refusal(both, key_pair_dates=dates) == OUT_OF_DATE
    verify(both, KEYS, datetime(2015, 10, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (by_pair("b", "source", source=SOURCE, x_date=DATE), REQUIRED_DATE),
        (by_pair("b", "x-date", date=DATE), REQUIRED_DATE),
        (by_pair("b", "x-date", x_date="yesterday"), REQUIRED_DATE),
        (by_pair("b", "date", date="yesterday"), REQUIRED_DATE),
        (
            by_pair("b", "x-date source", x_date=DATE),
            "HMAC signature cannot be verified, a valid source header is required",
        ),
        (
            by_pair("b", "x-date date", date=DATE),
            "HMAC signature cannot be verified, a valid x-date header is required",
        ),
        (by_pair("b", "x-date", x_date=DATE, X_Date=DATE), MULTIPLE),
        (by_pair("b", "x-date", x_date=DATE), MISMATCH),
        (by_pair("b", "x-date", "hmac-md5", x_date=DATE), "HMAC algorithm hmac-md5 not supported"),
    ],
)
def test_what_a_key_pair_lacks(refused: SignedRequest, message: str) -> None:
    assert refusal(refused) == message


def test_an_application_key_cannot_be_used_as_a_key_pair() -> None:
    short = signed_with(f"x-date: {DATE}")
    assert refusal(by_pair(short, "x-date", key_id=APPLICATION_ID, x_date=DATE)) == MISMATCH


def test_a_key_pair_does_not_sign_as_an_application() -> None:
    full = signed_with(f"x-date: {DATE}\nPOST\n\n\n\n/record", secret=PAIR_SECRET)
    assert refusal(by_pair(full, "x-date", x_date=DATE)) == MISMATCH
