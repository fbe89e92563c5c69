"""The actions of the API, by name."""

from collections.abc import Mapping

from panoreel.dispatch.actions.calls import Action
from panoreel.dispatch.actions.clipping import Clipping
from panoreel.dispatch.actions.controlling import Controlling
from panoreel.dispatch.actions.reading import Reading
from panoreel.dispatch.actions.starting import Starting


def by_name(
    starting: Starting, clipping: Clipping, controlling: Controlling, reading: Reading
) -> Mapping[str, Action]:
    """Every action that a request may name."""
    return {
        "Start": starting.start,
        "Pause": controlling.pause,
        "Resume": controlling.resume,
        "Refresh": controlling.refresh,
        "Stop": controlling.stop,
        "Cancel": controlling.stop,
        "ForceStop": controlling.force_stop,
        "Clip": clipping.clip,
        "Describe": reading.describe,
        "DescribeDetail": reading.describe_detail,
        "List": reading.list_tasks,
    }
