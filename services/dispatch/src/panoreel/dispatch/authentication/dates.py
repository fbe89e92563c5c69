"""The time at which a request was signed, and how far it may lie from ours."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from panoreel.dispatch.authentication.errors import Unauthorized
from panoreel.dispatch.authentication.request import SignedRequest

MAX_SKEW: Final = timedelta(seconds=900)

KeyPairDates = Literal["strict", "compat"]
"""With `compat`, `Date` alone is not checked, as at the vendor's: a captured request never expires."""

_MONTHS: Final = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_IMF_FIXDATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) (%b) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT" % b"|".join(_MONTHS)
)


def check_application_time(request: SignedRequest, listed: Sequence[bytes], now: datetime) -> None:
    """An application key signs `X-Date`.

    Raises:
        Unauthorized: it is not listed, not there, no date, or more than 900 s from `now`.
    """
    date = _date(request.value(b"x-date")) if b"x-date" in listed else None
    if date is None:
        sentence = "a valid x-date header is required for HMAC Authentication"
        raise Unauthorized(401, f"HMAC signature cannot be verified, {sentence}")
    _check_skew(date, now)


def check_key_pair_time(
    request: SignedRequest, listed: Sequence[bytes], now: datetime, dates: KeyPairDates
) -> None:
    """A key pair signs `X-Date` or `Date`; of both, `X-Date` counts.

    Raises:
        Unauthorized: neither is listed and there, it is no date, or it is more than 900 s from `now`.
    """
    signed = [name for name in (b"x-date", b"date") if name in listed and request.values(name)]
    if signed == [b"date"] and dates == "compat":
        return
    date = _date(request.value(signed[0])) if signed else None
    if date is None:
        sentence = "a valid date or x-date header is required"
        raise Unauthorized(401, f"HMAC signature cannot be verified, {sentence}")
    _check_skew(date, now)


def _date(text: bytes) -> datetime | None:
    """An IMF-fixdate (RFC 9110 §5.6.7), whatever the locale; None if it is something else."""
    match = _IMF_FIXDATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    number = _MONTHS.index(month) + 1
    try:
        return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None


def _check_skew(date: datetime, now: datetime) -> None:
    if abs(now - date) > MAX_SKEW:
        sentence = "the x-date header is out of date for HMAC Authentication"
        raise Unauthorized(401, f"HMAC signature cannot be verified, {sentence}")
