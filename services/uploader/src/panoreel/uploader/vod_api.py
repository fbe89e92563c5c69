"""The two actions of VOD (API 2018-07-17) that make a media file of uploaded objects.

ApplyUpload: document 266/31767; CommitUpload: 266/31766; errors: 266/31774; signature TC3: 266/34114.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

import stamina
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_pascal
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from panoreel.uploader.settings import UploaderSettings

_SERVICE: Final = "vod"
_VERSION: Final = "2018-07-17"

ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 8.0
CALL_TIMEOUT_S: Final = 30

_PASSING: Final = ("RequestLimitExceeded", "AuthFailure.SignatureExpire")
"""Codes, and what begins like them, of refusals that need not come again. Each try reads the clock anew."""

_UNCLEAR: Final = ("InternalError", "ClientNetworkError", "ServerNetworkError")
"""After these, the action may have been done all the same. The latter two are what the SDK calls silence."""

_SESSION_LOST: Final = ("InvalidParameterValue.VodSessionKey", "ResourceNotFound")

_LONGEST_MESSAGE: Final = 300


Parameters = Mapping[str, str | int]


class VodRefused(Exception):
    """VOD will not do this. `unclear`: it may have done it at an earlier try, whose answer was lost."""

    def __init__(self, message: str, unclear: bool) -> None:
        super().__init__(message)
        self.unclear = unclear


class SessionLost(VodRefused):
    """VOD does not know the session, or no longer, or misses what should have been uploaded."""


class VodUnavailable(Exception):
    """VOD cannot do this now, but it may later. `unclear`: it may have done it."""

    def __init__(self, message: str, unclear: bool) -> None:
        super().__init__(message)
        self.unclear = unclear


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_pascal, hide_input_in_errors=True)


class Certificate(_Answer):
    """Temporary keys; `expired_time` in Unix seconds."""

    secret_id: SecretStr
    secret_key: SecretStr
    token: SecretStr
    expired_time: int


class Reservation(_Answer):
    """Where to upload a media file, and what to commit then. Without a certificate the account's keys do."""

    storage_bucket: str
    storage_region: str
    media_storage_path: str
    vod_session_key: str = Field(repr=False)
    temp_certificate: Certificate | None = None


class Media(_Answer):
    """A media file; its `file_id` has up to 19 digits."""

    file_id: str = Field(coerce_numbers_to_str=True)
    media_url: str


A = TypeVar("A", bound=_Answer)


class VodApi:
    """VOD, asked with the account's keys of the settings.

    What it refuses raises `VodRefused`; what it does not do in `ATTEMPTS` tries, `VodUnavailable`.
    """

    def __init__(self, settings: UploaderSettings) -> None:
        """`VodRefused` is raised if the account's keys are not set."""
        if not settings.vod_secret_id or not settings.vod_secret_key:
            keys = "PANOREEL_VOD_SECRET_ID and PANOREEL_VOD_SECRET_KEY"
            raise VodRefused(f"{keys} are not set for the uploader", unclear=False)
        self.secret_id = settings.vod_secret_id
        self.secret_key = settings.vod_secret_key
        self._region = settings.vod_region
        self._endpoint = urlsplit(settings.vod_endpoint)

    async def apply(self, parameters: Parameters) -> Reservation:
        """Reserve a place. One that is not used costs nothing."""
        return await self._ask("ApplyUpload", parameters, Reservation)

    async def commit(self, parameters: Parameters) -> Media:
        """Make a media file of what was uploaded. Asked again with the same session, it makes no second."""
        return await self._ask("CommitUpload", parameters, Media)

    async def _ask(self, action: str, parameters: Parameters, answer: type[A]) -> A:
        lost: list[str] = []
        async for attempt in stamina.retry_context(
            on=VodUnavailable,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=FIRST_PAUSE_S,
            wait_max=LONGEST_PAUSE_S,
        ):
            with attempt:
                try:
                    return await asyncio.to_thread(self._call, action, parameters, answer)
                except VodUnavailable as error:
                    lost += [str(error)] if error.unclear else []
                    raise
                except VodRefused as error:
                    raise type(error)(", after ".join([str(error), *lost]), unclear=bool(lost)) from error
        raise AssertionError("the last attempt returns or raises")

    def _call(self, action: str, parameters: Parameters, answer: type[A]) -> A:
        http = HttpProfile(
            protocol=self._endpoint.scheme, endpoint=self._endpoint.netloc.lower(), reqTimeout=CALL_TIMEOUT_S
        )
        try:
            credential = Credential(self.secret_id.get_secret_value(), self.secret_key.get_secret_value())
            profile = ClientProfile(httpProfile=http, language="en-US")
            # A client of its own: an idle connection would be closed by the time of the next call.
            client = CommonClient(_SERVICE, _VERSION, credential, self._region, profile)
            response = client.call_json(action, dict(parameters))["Response"]
            # The SDK looks for it in answers of one content type alone.
            if error := response.get("Error"):
                raise _explained(error["Code"], error["Message"], response["RequestId"])
            return answer.model_validate(response)
        except TencentCloudSDKException as error:
            raise _explained(error.get_code(), error.get_message(), error.get_request_id()) from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            # An answer that broke off, or that is none of VOD's: the SDK takes it as it comes.
            kind = type(error).__name__
            raise VodUnavailable(
                f"{kind}: the answer of VOD to {action} is unreadable", unclear=True
            ) from None


def _explained(code: str, message: str | bytes, request_id: str | None) -> VodRefused | VodUnavailable:
    words = message.decode(errors="replace") if isinstance(message, bytes) else message
    known_as = f" (RequestId {request_id})" if request_id else ""
    sentence = f"{code}: {words[:_LONGEST_MESSAGE]}{known_as}"
    unclear = _is_of(code, _UNCLEAR)
    if unclear or _is_of(code, _PASSING):
        return VodUnavailable(sentence, unclear)
    refusal = SessionLost if _is_of(code, _SESSION_LOST) else VodRefused
    return refusal(sentence, unclear=False)


def _is_of(code: str, codes: tuple[str, ...]) -> bool:
    return any(code == known or code.startswith(f"{known}.") for known in codes)
