"""`Data.Output`: what is to become of a recording."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from panoreel.contracts.events import OutputRequest, ThumbnailRequest, VodRequest
from panoreel.contracts.names import REGION_PATTERN
from panoreel.dispatch.parameters.deployment import Deployment
from panoreel.dispatch.parameters.errors import InvalidParam
from panoreel.dispatch.parameters.fields import InRange, Parameters
from panoreel.dispatch.parameters.video import VideoParameters

_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
NO_REGION: Final = "default"
"""What stands for VOD's own choice of a region."""

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


class ThumbnailParameters(Parameters):
    """A poster, and sheets of small pictures with a WebVTT that tells their times."""

    Interval: Annotated[float, InRange(1.0, 3600.0)] = 10
    """Seconds from one picture to the next."""
    Width: Annotated[int, InRange(16, 640)] = 160
    """In pixels."""


class PlaceParameters(Parameters):
    """Where results go: with `Vod`, to VOD alone."""

    Cos: CosParameters = CosParameters()
    Vod: VodParameters | None = None

    def place(self, deployment: Deployment) -> OutputRequest:
        """The part that the uploader reads, for an mp4.

        Raises:
            InvalidParam: the deployment cannot store anything there.
        """
        vod = _vod(self.Vod, deployment)
        if vod and "vod" not in deployment.targets:
            raise InvalidParam("Output.Vod is not configured here; leave it out, and say where by Output.Cos")
        if vod is None and "cos" not in deployment.targets:
            raise InvalidParam("Output.Vod missing: results go to VOD here, and to no bucket")
        return OutputRequest(
            bucket=self.Cos.Bucket or None,
            region=self.Cos.Region or None,
            domain=self.Cos.Domain or None,
            target_dir=self.Cos.TargetDir or None,
            target_name=self.Cos.TargetName or None,
            vod=vod,
        )


class OutputParameters(PlaceParameters):
    """What is to become of a recording."""

    Video: VideoParameters = VideoParameters()
    Thumbnails: ThumbnailParameters | None = None
    """Stored beside the result, in a bucket. An addition to the original API."""

    @field_validator("Thumbnails")
    @classmethod
    def _of_pictures(
        cls, value: ThumbnailParameters | None, info: ValidationInfo
    ) -> ThumbnailParameters | None:
        video = info.data.get("Video")
        if value and video and video.AudioOnly:
            raise ValueError("are of pictures, which AudioOnly leaves out; leave out either of them")
        return value

    def request(self, deployment: Deployment) -> OutputRequest:
        """The part that transcoder and uploader read; what is drawn at random is another at each call.

        Raises:
            InvalidParam: the deployment cannot do that.
        """
        place = self.place(deployment)
        if place.vod and self.Thumbnails:
            raise InvalidParam(
                "Output.Thumbnails are stored in a bucket, but the result goes to VOD; leave them out"
            )
        thumbnails = self.Thumbnails and ThumbnailRequest(
            interval_s=self.Thumbnails.Interval, width=self.Thumbnails.Width
        )
        return place.model_copy(
            update={
                "muxers": self.Video.muxers,
                "encryption": self.Video.hls_encryption(),
                "thumbnails": thumbnails,
            }
        )


class ClipVideoParameters(Parameters):
    """The format of a clip."""

    Muxer: Literal["mp4"] = "mp4"


class ClipOutputParameters(PlaceParameters):
    """What is to become of a clip."""

    Video: ClipVideoParameters = ClipVideoParameters()


def _vod(asked: VodParameters | None, deployment: Deployment) -> VodRequest | None:
    """What VOD is asked, where it is; a caller's word goes before the deployment's."""
    sub_app_id, region = deployment.vod_sub_app_id, deployment.vod_storage_region
    if asked is None and sub_app_id is None and region is None:
        return None
    asked = asked or VodParameters()
    media, procedure = asked.MediaInfo, asked.ProcedureInfo
    region = media.StorageRegion or region
    return VodRequest(
        sub_app_id=sub_app_id if asked.SubAppId is None else asked.SubAppId,
        media_name=media.MediaName or None,
        expire_time=media.ExpireTime or None,
        storage_region=None if region == NO_REGION else region,
        class_id=media.ClassId,
        source_context=media.SourceContext or None,
        procedure=procedure.Procedure or None,
        session_context=procedure.SessionContext or None,
    )
