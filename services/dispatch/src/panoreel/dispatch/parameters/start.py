"""`Data` of Start."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import StrictBool, model_validator

from panoreel.contracts import events
from panoreel.contracts.browser import BrowserSettings
from panoreel.contracts.media import EncoderParameters
from panoreel.dispatch.parameters.browser import BrowserParameters
from panoreel.dispatch.parameters.errors import InvalidParam
from panoreel.dispatch.parameters.fields import (
    HttpUrl,
    InRange,
    OptionalHttpUrl,
    Parameters,
    PublicTaskId,
    Title,
    UserAgentText,
)
from panoreel.dispatch.parameters.output import OutputParameters

DEFAULT_WIDTH: Final = 1280
DEFAULT_HEIGHT: Final = 720
DEFAULT_DURATION_S: Final = 21_600
MAX_SIDE: Final = 2560
MAX_DURATION_S: Final = 36_000
MAX_QUEUE_TIMEOUT_S: Final = 86_400


class HeaderParameters(Parameters):
    """How the browser presents itself."""

    UserAgent: UserAgentText = ""


class StartParameters(Parameters):
    """`Data` of `Start`. A width, height or limit of 0 stands for the default."""

    own_id_field: ClassVar = "TaskID"

    TaskID: PublicTaskId | None = None
    """The new task's id. The same request may then be repeated, and answers the same."""
    RecordURL: HttpUrl
    """The page to record; a media file is played from its beginning."""
    ManualStart: StrictBool = False
    """Whether recording begins when the page calls `window.startRecord`."""
    Width: Annotated[int, InRange(0, MAX_SIDE)] = 0
    """In pixels; 0 stands for 1280."""
    Height: Annotated[int, InRange(0, MAX_SIDE)] = 0
    """In pixels; 0 stands for 720."""
    CallbackURL: OptionalHttpUrl = ""
    """Where the result is posted."""
    MaxDurationLimit: Annotated[int, InRange(0, MAX_DURATION_S)] = 0
    """In seconds from the first frame, pauses included; 0 stands for 21600."""
    StorageType: Literal["cfs", "cos"] | None = None
    """Where media rests until the result is made: in a shared directory, or in a bucket."""
    Headers: HeaderParameters = HeaderParameters()
    PageTitle: Title = ""
    """The title under which the page is opened."""
    Output: OutputParameters = OutputParameters()
    Browser: BrowserParameters = BrowserParameters()
    Priority: Literal["high", "normal", "low"] = "normal"
    """Which waiting task a recorder takes first."""
    QueueTimeout: Annotated[int, InRange(0, MAX_QUEUE_TIMEOUT_S)] = 0
    """How many seconds to wait for a recorder at most; 0 stands for as long as it takes."""
    OnError: events.Remedy = "reload"
    """What to do when the recorded page crashes, or an error is shown in its place."""
    OnBlank: events.Remedy = "continue"
    """What to do when the page shows one plain colour for `BlankTimeout`."""
    BlankTimeout: Annotated[float, InRange(1.0, MAX_DURATION_S, or_zero=True)] = 30
    """In seconds; 0: however long it does, it is not blank."""

    @model_validator(mode="after")
    def _one_user_agent(self) -> Self:
        either, other = self.Headers.UserAgent, self.Browser.UserAgent
        if either and other and either != other:
            raise ValueError("Headers.UserAgent and Browser.UserAgent differ; leave one of them out")
        return self

    @model_validator(mode="after")
    def _blank_needs_pictures(self) -> Self:
        if self.Output.Video.AudioOnly:
            for name in ("OnBlank", "BlankTimeout"):
                if name in self.model_fields_set:
                    raise ValueError(
                        f"{name} is about pictures, which AudioOnly leaves out; leave out either"
                    )
        return self

    @property
    def own_id(self) -> str | None:
        """What the caller calls the new task."""
        return self.TaskID

    def encoder(self) -> EncoderParameters:
        """How the recorder encodes."""
        return self.Output.Video.encoder(self.Width or DEFAULT_WIDTH, self.Height or DEFAULT_HEIGHT)

    def page_policy(self) -> events.PagePolicy:
        """What the recorder does when the page shows no content."""
        return events.PagePolicy(
            on_error=self.OnError, on_blank=self.OnBlank, blank_after_s=self.BlankTimeout or None
        )

    def browser_settings(self) -> BrowserSettings:
        """The part that the recorder opens its browser with; secret."""
        return self.Browser.settings(self.Headers.UserAgent)

    def storage_type(self, configured: tuple[events.StorageType, ...]) -> events.StorageType:
        """Where the media is to rest: by default in the shared directory, if there is one.

        Raises:
            InvalidParam: there is no such storage.
        """
        wanted = self.StorageType or ("cfs" if "cfs" in configured else configured[0])
        if wanted not in configured:
            known = " or ".join(configured)
            raise InvalidParam(f"StorageType {wanted} is not configured here; use {known}, or leave it out")
        return wanted
