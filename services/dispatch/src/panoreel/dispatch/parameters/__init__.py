"""What a caller may ask for, checked field by field; a wrong field is named, with the way out.

Names, defaults and ranges are those of Tencent Cloud's panoramic recording API (document 1219/66139).
"""

from panoreel.dispatch.parameters.clip import ClipParameters
from panoreel.dispatch.parameters.deployment import Deployment
from panoreel.dispatch.parameters.errors import InvalidParam
from panoreel.dispatch.parameters.start import DEFAULT_DURATION_S, StartParameters
from panoreel.dispatch.parameters.task import ListParameters, RefreshParameters, TaskParameters

__all__ = [
    "DEFAULT_DURATION_S",
    "ClipParameters",
    "Deployment",
    "InvalidParam",
    "ListParameters",
    "RefreshParameters",
    "StartParameters",
    "TaskParameters",
]
