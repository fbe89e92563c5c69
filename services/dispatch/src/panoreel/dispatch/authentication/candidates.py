"""The strings that a client may have signed: the canonical one first, then what is tolerated."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from panoreel.dispatch.authentication.request import SignedRequest
from panoreel.signing.strings import (
    ApplicationFields,
    content_md5,
    content_md5_rfc1864,
    decoded_parameters,
    encoded_parameters,
    header_lines,
    is_form,
    path_and_parameters,
)

MAX_PARAMETERS: Final = 1000
"""More are not looked at: sorting a body full of them would hold up everybody else."""


def application_candidates(request: SignedRequest, headers: Sequence[bytes]) -> list[bytes]:
    """Up to eight strings for an application key; none if `Content-MD5` is wrong or parameters are too many.

    The listed headers come sorted, or as listed; an unsent Content-MD5 counts in both its forms; parameters
    are signed decoded, or as they were sent, as one of the vendor's samples does for forms.
    """
    orders = dict.fromkeys((tuple(sorted(headers)), tuple(headers)))
    fields = product(orders, _content_md5_lines(request), dict.fromkeys(_paths_and_parameters(request)))
    return [
        ApplicationFields(
            headers=key_pair_string(request, order),
            method=request.method.upper().encode(),
            accept=request.value(b"accept"),
            content_type=request.value(b"content-type"),
            content_md5=md5,
            path_and_parameters=path,
        ).string()
        for order, md5, path in fields
    ]


def key_pair_string(request: SignedRequest, headers: Sequence[bytes]) -> bytes:
    """The one string for a key pair: the listed headers as listed."""
    return header_lines((name, request.value(name)) for name in headers)


def _content_md5_lines(request: SignedRequest) -> list[bytes]:
    if is_form(request.value(b"content-type")):
        return [b""]
    if not request.body:
        return [request.value(b"content-md5")]
    forms = [content_md5(request.body), content_md5_rfc1864(request.body)]
    sent = request.values(b"content-md5")
    return [form for form in forms if form in sent] if sent else forms


def _paths_and_parameters(request: SignedRequest) -> Iterator[bytes]:
    path = request.path.encode()
    form = request.body if is_form(request.value(b"content-type")) else b""
    if request.query.count(b"&") + form.count(b"&") >= MAX_PARAMETERS:
        return
    for parameters in (decoded_parameters, encoded_parameters):
        yield path_and_parameters(path, parameters(request.query) + parameters(form))
