"""`Data.Output`: what is to become of a recording."""

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from panoreel.contracts.events import OutputRequest
from panoreel.contracts.names import REGION_PATTERN
from panoreel.dispatch.parameters.fields import InRange, Parameters
from panoreel.dispatch.parameters.video import VideoParameters

_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NOTHING_WRITTEN_OUT: Final = ("null", "undefined")


def _said(value: str) -> str:
    """Scripts send these by mistake, and VOD would take them for names."""
    if value and (not value.strip() or value.strip().lower() in _NOTHING_WRITTEN_OUT):
        raise ValueError("must not be blank, 'null' or 'undefined'; leave it out")
    return value


def _region(value: str) -> str:
    if value and not re.fullmatch(REGION_PATTERN, value):
        raise ValueError("must consist of at most 32 lower-case letters, digits and hyphens")
    return value


def _moment(value: str) -> str:
    try:
        if value:
            datetime.fromisoformat(value if _MOMENT.fullmatch(value) else "")
    except ValueError as error:
        raise ValueError(
            "must be a time of ISO 8601 with its offset, such as 2033-10-01T10:00:00Z"
        ) from error
    return value


def _sub_app_id(value: object) -> object:
    if value == "":
        return None
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("must be a whole number, or a string of at most 19 digits")


Text = Annotated[str, AfterValidator(_said)]


class CosParameters(Parameters):
    """Where an object store puts the result; what is empty is the deployment's choice."""

    Domain: str = ""
    Bucket: str = ""
    Region: str = ""
    TargetDir: str = ""
    TargetName: str = ""


class MediaInfoParameters(Parameters):
    """How VOD files the result (ApplyUpload of its API 2018-07-17, document 266/31767)."""

    MediaName: Text = ""
    ExpireTime: Annotated[Text, AfterValidator(_moment)] = ""
    StorageRegion: Annotated[Text, AfterValidator(_region)] = ""
    ClassId: Annotated[int, InRange(0, 2**31 - 1)] = 0
    SourceContext: Annotated[str, Field(max_length=250), AfterValidator(_said)] = ""


class ProcedureInfoParameters(Parameters):
    """What VOD does with the result."""

    Procedure: Text = ""
    SessionContext: Annotated[str, Field(max_length=1000), AfterValidator(_said)] = ""


class VodParameters(Parameters):
    """The result goes to VOD."""

    MediaInfo: MediaInfoParameters = MediaInfoParameters()
    ProcedureInfo: ProcedureInfoParameters = ProcedureInfoParameters()
    SubAppId: Annotated[
        int | None,
        BeforeValidator(_sub_app_id),
        WithJsonSchema(
            {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{0,19}$"}]}
        ),
    ] = None


class OutputParameters(Parameters):
    """What is to become of the recording."""

    Cos: CosParameters = CosParameters()
    Video: VideoParameters = VideoParameters()
    Vod: VodParameters | None = None

    def request(self) -> OutputRequest:
        """The part that the uploader reads."""
        return OutputRequest(
            bucket=self.Cos.Bucket or None,
            region=self.Cos.Region or None,
            domain=self.Cos.Domain or None,
            target_dir=self.Cos.TargetDir or None,
            target_name=self.Cos.TargetName or None,
        )
