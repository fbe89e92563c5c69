"""Clients sign what the server verifies, whatever is sent; nobody else can, and nothing crashes."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import panoreel.signing.client
from panoreel.dispatch.authentication.authorization import parse
from panoreel.dispatch.authentication.errors import Unauthorized
from panoreel.dispatch.authentication.keys import Key, Keys, parse_keys
from panoreel.dispatch.authentication.request import SignedRequest
from panoreel.dispatch.authentication.verification import check_signature, claimed
from panoreel.signing.client import Credentials, Request, sign, sign_key_pair
from panoreel.signing.strings import ALGORITHMS, FORM, content_md5, content_md5_rfc1864

NOW = datetime.fromtimestamp(1615451398, UTC)
SECRET = "correct horse battery staple é"
KEYS = parse_keys(
    f"""{{"keys": [{{"id": "app", "application": "a", "secrets": ["next", "{SECRET}"]}},
    {{"id": "pair", "application": "a", "kind": "key_pair", "secrets": ["{SECRET}"]}}]}}""".encode()
)
CREDENTIALS = Credentials("app", SECRET)


def verify(request: SignedRequest, keys: Keys, now: datetime) -> Key:
    """The key that signed the request."""
    claim = claimed(request, keys, now)
    check_signature(request, claim)
    return claim.key


def received(request: Request, headers: dict[str, str]) -> SignedRequest:
    """What a server gets of it."""
    url = urlsplit(request.url)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return SignedRequest(request.method, url.path, url.query.encode(), raw, request.body)


visible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
pairs = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4)
plain = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
queries = st.builds(
    urlencode, pairs, quote_via=st.sampled_from([quote, lambda text, *_: quote(text, safe="")])
)
requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "PUT", "delete"]),
    url=st.builds(lambda path, query: f"https://example.com/{path}?{query}", plain, queries),
    body=st.binary(max_size=200),
    headers=st.fixed_dictionaries({"Source": visible}, optional={"Accept": visible, "Content-Type": visible}),
)
forms = st.builds(
    lambda request, form: replace(
        request, body=urlencode(form).encode(), headers={**request.headers, "Content-Type": FORM.decode()}
    ),
    requests,
    pairs,
)
times = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(requests | forms, st.sampled_from(sorted(ALGORITHMS)), times, st.sampled_from([(), ("Source",)]))
def test_what_a_client_signs_is_accepted(
    request: Request, algorithm: str, now: datetime, also: tuple[str, ...]
) -> None:
    headers = sign(Credentials("app", SECRET, algorithm), request, now, also)
    assert verify(received(request, headers), KEYS, now + timedelta(seconds=899)).id == "app"
    with pytest.raises(Unauthorized, match="does not match"):
        verify(received(request, sign(Credentials("app", SECRET + "!", algorithm), request, now)), KEYS, now)


@given(requests, times)
def test_what_a_key_pair_signs_is_accepted(request: Request, now: datetime) -> None:
    headers = sign_key_pair(Credentials("pair", SECRET), request.headers, now, ["Source"])
    assert verify(received(request, headers), KEYS, now).id == "pair"
    with pytest.raises(Unauthorized, match="does not match"):
        verify(received(request, headers | {"Source": request.headers["Source"] + "!"}), KEYS, now)


@given(st.data())
def test_a_flipped_bit_is_refused(data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=1, max_size=200))
    request = Request("POST", "https://example.com/record?task=abc&n=1", body, {"Source": "somebody"})
    sent = received(request, sign(CREDENTIALS, request, NOW, ["source"]))
    changed = data.draw(
        st.sampled_from([with_flipped_line, with_flipped_parameters, with_flipped_body, with_flipped_header])
    )(data, sent)
    verify(sent, KEYS, NOW)
    with pytest.raises(Unauthorized):
        verify(changed, KEYS, NOW)


def with_flipped_line(data: st.DataObject, sent: SignedRequest) -> SignedRequest:
    line = flipped(data, b"POST/record")
    assume(line.startswith(b"POST") or not line.upper().startswith(b"POST"))  # a method's case is not signed
    return replace(sent, method=line[:4].decode("latin-1"), path=line[4:].decode("latin-1"))


def with_flipped_parameters(data: st.DataObject, sent: SignedRequest) -> SignedRequest:
    return replace(sent, query=flipped(data, sent.query))


def with_flipped_body(data: st.DataObject, sent: SignedRequest) -> SignedRequest:
    return replace(sent, body=flipped(data, sent.body))


def with_flipped_header(data: st.DataObject, sent: SignedRequest) -> SignedRequest:
    """A header's value; of `Authorization`, whose other parts may be spelled differently, the signature."""
    headers = dict(sent.headers)
    name = data.draw(st.sampled_from(sorted(headers)))
    kept, mark, value = headers[name].rpartition(b'signature="')
    headers[name] = kept + mark + flipped(data, value.removesuffix(b'"')) + (b'"' if mark else b"")
    return replace(sent, headers=list(headers.items()))


def flipped(data: st.DataObject, value: bytes) -> bytes:
    position = data.draw(st.integers(0, len(value) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    return value[:position] + bytes([value[position] ^ bit]) + value[position + 1 :]


parameters = st.builds(
    lambda name, value: f'{name}="{value}"',
    st.sampled_from(["id", "algorithm", "headers", "signature", "Id", "nonce", ""]),
    st.sampled_from(["app", "pair", "x-date", "hmac-sha1", "hmac-sm3", "x-date x-date", "AA==", ""])
    | visible,
)
almost = st.builds(
    lambda scheme, given, separator: (scheme + separator.join(given)).encode(),
    st.sampled_from(["hmac ", "HMAC  ", "hmac", "Basic ", ""]),
    st.lists(parameters, max_size=6),
    st.sampled_from([", ", ",", " , ", " ", ",,"]),
)


@given(st.binary() | st.text().map(str.encode) | almost, st.binary(max_size=40))
def test_no_header_crashes_it(authorization: bytes, date: bytes) -> None:
    headers = [(b"authorization", authorization), (b"x-date", date)]
    with pytest.raises(Unauthorized):
        verify(SignedRequest("POST", "/record", headers=headers), KEYS, NOW)
    try:
        parsed = parse(authorization)
    except Unauthorized:
        return
    assert parsed.id
    assert parsed.headers
    assert parsed.algorithm in ALGORITHMS


@given(st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=60))
def test_no_query_body_or_type_crashes_it(query: bytes, body: bytes, content_type: bytes) -> None:
    headers = {name.lower(): value for name, value in sign(CREDENTIALS, Request("POST", "/"), NOW).items()}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    for kind in (content_type, FORM):
        sent = SignedRequest("POST", "/never", query, [*raw, (b"content-type", kind)], body)
        with pytest.raises(Unauthorized, match="does not match"):
            verify(sent, KEYS, NOW)


def test_headers_that_a_client_sends() -> None:
    body = b'{"Action":"Describe","Data":{"TaskID":"0f7d9522-a1a3-4517-b5ad-7a6ecaf9c419"}}'
    key = Credentials(
        "APIDdemoKey0000000000000000000000000001", "demoSecret00000000000000000000000000001x", "hmac-sha1"
    )
    given_headers = {"x-date": "stale", "User-Agent": "test"}
    headers = sign(key, Request("POST", "http://127.0.0.1:8100/record", body, given_headers), NOW)
    assert headers == {
        "User-Agent": "test",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "X-Date": "Thu, 11 Mar 2021 08:29:58 GMT",
        "Authorization": 'hmac id="APIDdemoKey0000000000000000000000000001", algorithm="hmac-sha1", '
        'headers="x-date", signature="ZECD4Wfxc13rwEXjFAeN98fNWCc="',
    }
    assert key.secret not in repr(key)


@pytest.mark.parametrize("form", [content_md5, content_md5_rfc1864])
def test_a_client_may_send_content_md5(form: Callable[[bytes], bytes]) -> None:
    request = Request("POST", "/record", b"x", {"Content-MD5": form(b"x").decode()})
    verify(received(request, sign(CREDENTIALS, request, NOW)), KEYS, NOW)
    wrong = replace(request, headers={"Content-MD5": form(b"y").decode()})
    with pytest.raises(Unauthorized, match="does not match"):
        verify(received(wrong, sign(CREDENTIALS, wrong, NOW)), KEYS, NOW)


@pytest.mark.parametrize("body", [b"a=1&b=x+y", b""])
def test_a_form_has_no_content_md5(body: bytes) -> None:
    request = Request("POST", "/record", body, {"Content-Type": FORM.decode(), "Content-MD5": "unsigned"})
    verify(received(request, sign(CREDENTIALS, request, NOW)), KEYS, NOW)


def test_the_signer_needs_the_standard_library_alone() -> None:
    source = Path(panoreel.signing.client.__file__).parents[2]
    program = "import sys; sys.path.insert(0, sys.argv[1]); import panoreel.signing.client"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(source)], check=True, timeout=20)
