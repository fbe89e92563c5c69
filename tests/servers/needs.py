"""What a test needs of the machine that runs it."""

import os
from typing import NoReturn

import pytest


def unmet(why: str) -> NoReturn:
    """Skip the test; where continuous integration runs it, fail: nobody would notice there."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
