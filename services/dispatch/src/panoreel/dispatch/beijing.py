"""Times as the API writes them for people: `YYYY-MM-DD HH:MM:SS`, in China's one time zone."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

# Asia/Shanghai has known no other offset since 1991, so no time zone database is needed.
BEIJING: Final = timezone(timedelta(hours=8))

PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
_FIRST_YEAR: Final = 1970


def show(time: datetime) -> str:
    """A time, whole seconds."""
    return time.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def read(text: str) -> datetime:
    """The time that `show` writes as `text`.

    Raises:
        ValueError: with a sentence for the user.
    """
    sentence = "must be a time such as 2026-01-31 08:00:00, in Asia/Shanghai"
    if not re.fullmatch(PATTERN, text):
        raise ValueError(sentence)
    try:
        time = datetime.fromisoformat(text).replace(tzinfo=BEIJING)
    except ValueError as error:
        raise ValueError(sentence) from error
    if time.year < _FIRST_YEAR:
        raise ValueError(f"must not be before {_FIRST_YEAR}")
    return time
