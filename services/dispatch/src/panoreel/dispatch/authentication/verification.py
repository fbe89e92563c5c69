"""Whether a request is by a key that may make it.

What is wrong is told in the order, and in the words, of Tencent Cloud API Gateway. It has two schemes,
application keys (document 628/55088) and key pairs (document 628/11819); the kind of the key alone decides.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from panoreel.dispatch.authentication.authorization import Authorization, parse
from panoreel.dispatch.authentication.candidates import application_candidates, key_pair_string
from panoreel.dispatch.authentication.dates import KeyPairDates, check_application_time, check_key_pair_time
from panoreel.dispatch.authentication.errors import Unauthorized
from panoreel.dispatch.authentication.keys import Key, Keys
from panoreel.dispatch.authentication.request import SignedRequest
from panoreel.signing.strings import signature

_IMPLIED: Final = (b"accept", b"content-type", b"content-md5")
"""What an application key signs without listing it."""

_UNKNOWN: Final = Key.model_validate_json(
    '{"id": "-", "secrets": ["-"], "application": "-", "enabled": false}'
)
"""Stands for a key that does not exist: it is refused where one is that was turned off."""


@dataclass(frozen=True)
class Claim:
    """A request that is by `key` if the signature holds."""

    key: Key
    authorization: Authorization


def claimed(
    request: SignedRequest, keys: Keys, now: datetime, *, key_pair_dates: KeyPairDates = "strict"
) -> Claim:
    """Whose the request says to be, as far as that can be told without its body.

    `now` must know its time zone.

    Raises:
        Unauthorized: the first thing that is wrong.
    """
    authorization = parse(_authorization(request))
    key = keys.find(authorization.id) or _UNKNOWN
    listed = authorization.headers
    if key.kind == "application":
        check_application_time(request, listed, now)
        _check_headers(request, listed, _IMPLIED)
    else:
        check_key_pair_time(request, listed, now, key_pair_dates)
        _check_headers(request, listed, ())
    if not key.enabled:
        raise Unauthorized(401, "HMAC signature cannot be verified")
    if not key.may_call(request.path):
        raise Unauthorized(401, "HMAC apikey is invalid for API")
    return Claim(key, authorization)


def check_signature(request: SignedRequest, claim: Claim) -> None:
    """Hold the whole request against what it claims.

    Raises:
        Unauthorized: the key did not sign it.
    """
    listed = claim.authorization.headers
    if claim.key.kind == "application":
        strings = application_candidates(request, listed)
    else:
        strings = [key_pair_string(request, listed)]
    if not _is_signed(claim.authorization, claim.key, strings):
        raise Unauthorized(401, "HMAC signature does not match", strings[0] if strings else None)


def _authorization(request: SignedRequest) -> bytes:
    values = request.values(b"authorization")
    if not values:
        sentence = "a validate authorization header is required"
        raise Unauthorized(401, f"HMAC signature cannot be verified, {sentence}")
    if len(values) > 1:
        raise Unauthorized(401, "HMAC do not support multiple HTTP header")
    return values[0]


def _check_headers(request: SignedRequest, listed: Sequence[bytes], implied: Sequence[bytes]) -> None:
    """Every listed header is there, and none of those that are signed is there twice."""
    for name in listed:
        if not request.values(name):
            sentence = f"a valid {name.decode('latin-1')} header is required"
            raise Unauthorized(401, f"HMAC signature cannot be verified, {sentence}")
    if any(len(request.values(name)) > 1 for name in (*listed, *implied)):
        raise Unauthorized(401, "HMAC do not support multiple HTTP header")


def _is_signed(authorization: Authorization, key: Key, strings: Sequence[bytes]) -> bool:
    """Whether a secret of the key makes the signature; all are tried, so that the time tells nothing."""
    matches = [
        hmac.compare_digest(
            authorization.signature, signature(secret.get_secret_value(), authorization.algorithm, string)
        )
        for secret in key.secrets
        for string in strings
    ]
    return any(matches)
