"""What the browser finds in its profile: that it is not to offer anything beside the page."""

import json
from pathlib import Path
from typing import Any, Final

from panoreel.recorder.privileges import ProgramUser

PREFERENCES: Final[dict[str, Any]] = {
    "credentials_enable_service": False,
    "profile": {"password_manager_enabled": False, "password_manager_leak_detection": False},
    "autofill": {"profile_enabled": False, "credit_card_enabled": False},
    "printing": {"enabled": False},
    "translate": {"enabled": False},
}
"""What a person would switch off in the settings (Chromium's chrome/common/pref_names.h)."""


def make_profile(user: ProgramUser, path: Path) -> Path:
    """Create a profile at `path` for `user` alone; raises `ServiceUserUnusable`."""
    user.make_directory(path)
    preferences = user.make_directory(path / "Default") / "Preferences"
    preferences.write_text(json.dumps(PREFERENCES))
    user.own(preferences)
    return path
