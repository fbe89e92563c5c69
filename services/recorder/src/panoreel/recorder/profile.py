"""What the browser finds in its profile: that it is not to offer anything beside the page."""

import json
from pathlib import Path
from typing import Any, Final

from panoreel.recorder.privileges import ProgramUser

WEBRTC_PORTS: Final = (61_000, 65_535)
"""Where the browser receives UDP: past what Linux hands out to everybody else (ip_local_port_range)."""

FILES: Final[dict[str, dict[str, Any]]] = {
    "Default/Preferences": {
        "credentials_enable_service": False,
        "profile": {"password_manager_enabled": False, "password_manager_leak_detection": False},
        "autofill": {"profile_enabled": False, "credit_card_enabled": False},
        "printing": {"enabled": False},
        "translate": {"enabled": False},
        "webrtc": {"udp_port_range": "{}-{}".format(*WEBRTC_PORTS)},
    },
    # No server can make it ask for a name and a password: see Visitor for those of the RecordURL.
    "Local State": {"auth": {"schemes": ""}},
}
"""What a person would switch off in the settings, and a company by policy (Chromium's pref_names.h)."""


def make_profile(user: ProgramUser, path: Path) -> Path:
    """Create a profile at `path` for `user` alone; raises `ServiceUserUnusable`."""
    user.make_directory(path)
    for name, preferences in FILES.items():
        file = path / name
        user.make_directory(file.parent)
        file.write_text(json.dumps(preferences))
        user.own(file)
    return path
