"""`panoreel start`: from options, files and raw JSON to one request."""

import json as json_format
from collections.abc import Mapping
from http.cookiejar import LoadError, MozillaCookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from warnings import catch_warnings

import typer
from typer import Option

from .connection import AsJson
from .encoding import (
    AudioBitrate,
    AudioOnly,
    Bitrate,
    Crf,
    Formats,
    Fps,
    KeyframeInterval,
    VideoOnly,
    muxers,
)

if TYPE_CHECKING:
    from panoreel.client import Panoreel, StartRequest

Text = Annotated[str | None, Option()]
Pixels = Annotated[int | None, Option(min=0, max=2560, help="Pixels.")]
Remedy = Literal["reload", "fail", "continue"]


def start(  # each parameter is an option of the command line
    client: "Panoreel",
    url: Annotated[str | None, typer.Argument(help="The page to record.")] = None,
    width: Pixels = None,
    height: Pixels = None,
    manual_start: Annotated[bool, Option("--manual-start", help="Wait for window.startRecord().")] = False,
    max_duration: Annotated[
        int | None, Option(min=0, max=36000, help="Seconds from the first frame.")
    ] = None,
    callback_url: Annotated[str | None, Option(help="Where the result is posted.")] = None,
    target_dir: Annotated[str | None, Option(help="The directory of the file in its bucket.")] = None,
    target_name: Annotated[str | None, Option(help="The file's name.")] = None,
    muxer: Formats = None,
    thumbnails: Annotated[
        float | None, Option(min=1, max=3600, help="Seconds from one small picture to the next.")
    ] = None,
    fps: Fps = None,
    bitrate: Bitrate = None,
    crf: Crf = None,
    keyframe_interval: KeyframeInterval = None,
    audio_bitrate: AudioBitrate = None,
    audio_only: AudioOnly = False,
    video_only: VideoOnly = False,
    priority: Annotated[
        Literal["high", "normal", "low"] | None, Option(help="Which waiting task is recorded first.")
    ] = None,
    queue_timeout: Annotated[
        int | None, Option(min=0, max=86400, help="Seconds to wait for a recorder at most.")
    ] = None,
    on_error: Annotated[Remedy | None, Option(help="What to do about a crash or an error page.")] = None,
    on_blank: Annotated[Remedy | None, Option(help="What to do about a blank page.")] = None,
    blank_timeout: Annotated[
        float | None, Option(min=0, max=36000, help="Seconds of one plain colour that make a page blank.")
    ] = None,
    page_title: Text = None,
    user_agent: Annotated[str | None, Option(help="What the browser calls itself.")] = None,
    locale: Annotated[str | None, Option(help="A language tag such as zh-CN.")] = None,
    timezone: Annotated[str | None, Option(help="A name such as Asia/Shanghai.")] = None,
    color_scheme: Annotated[Literal["light", "dark", "no-preference"] | None, Option()] = None,
    header: Annotated[
        list[str] | None, Option(metavar="NAME:VALUE", help="Sent with requests to the page's origin.")
    ] = None,
    cookies: Annotated[
        Path | None, Option(help="A cookies.txt, or a JSON list of cookies.", dir_okay=False, exists=True)
    ] = None,
    storage_state: Annotated[
        Path | None, Option(help="What Playwright exports, in JSON.", dir_okay=False, exists=True)
    ] = None,
    ignore_certificate_errors: Annotated[bool, Option("--ignore-certificate-errors")] = False,
    media_devices: Annotated[
        Literal["deny", "fake"] | None, Option(help="What pages get for camera and microphone.")
    ] = None,
    task_id: Annotated[
        str | None, Option(help="Of your own: starting it again does not record twice.")
    ] = None,
    data: Annotated[
        typer.FileBinaryRead | None,
        Option(metavar="FILE", help="The API's Data in JSON, - for standard input; options go over it."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Start a recording and print the task's id."""
    options = {
        "RecordURL": url,
        "TaskID": task_id,
        "ManualStart": manual_start or None,
        "Width": width,
        "Height": height,
        "MaxDurationLimit": max_duration,
        "CallbackURL": callback_url,
        "PageTitle": page_title,
        "Priority": priority,
        "QueueTimeout": queue_timeout,
        "OnError": on_error,
        "OnBlank": on_blank,
        "BlankTimeout": blank_timeout,
        "Output": {
            "Cos": {"TargetDir": target_dir, "TargetName": target_name},
            "Thumbnails": {"Interval": thumbnails},
            "Video": {
                "Muxers": muxers(muxer) if muxer else None,
                "Fps": fps,
                "Bitrate": bitrate,
                "Crf": crf,
                "KeyframeInterval": keyframe_interval,
                "AudioBitrate": audio_bitrate,
                "AudioOnly": audio_only or None,
                "VideoOnly": video_only or None,
            },
        },
        "Browser": {
            "UserAgent": user_agent,
            "Locale": locale,
            "Timezone": timezone,
            "ColorScheme": color_scheme,
            "IgnoreCertificateErrors": ignore_certificate_errors or None,
            "MediaDevices": media_devices,
            "Headers": dict(map(_header, header or [])),
            "Cookies": _cookies(cookies) if cookies else None,
            "StorageState": _object("--storage-state", storage_state.read_bytes()) if storage_state else None,
        },
    }
    answer = client.start(_request(_merged(_object("--data", data.read()) if data else {}, options)))
    typer.echo(json_format.dumps({"TaskID": answer}) if json else answer)


def _request(data: Mapping[str, Any]) -> "StartRequest":
    from pydantic import ValidationError

    from panoreel.client import StartRequest

    if "RecordURL" not in data:
        raise typer.BadParameter("give the page to record, or --data with a RecordURL", param_hint="URL")
    try:
        return StartRequest.model_validate_json(json_format.dumps(data))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise typer.BadParameter(f"{field}: {first['msg']}") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what is set in `over`, at any depth."""
    merged = dict(base)
    for name, value in over.items():
        if isinstance(value, Mapping):
            inner = base.get(name, {})
            value = _merged(inner if isinstance(inner, Mapping) else {}, value) or None
        if value is not None:
            merged[name] = value
    return merged


def _object(option: str, text: bytes) -> dict[str, Any]:
    try:
        value = json_format.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object", param_hint=option)
    return value


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter("must look like NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()


def _cookies(file: Path) -> list[dict[str, Any]]:
    """Cookies in the API's form, of a browser's or curl's cookies.txt, or of Playwright's or our own JSON."""
    try:
        listed = json_format.loads(file.read_bytes())
    except ValueError:
        return _netscape_cookies(file)
    if isinstance(listed, dict):
        listed = listed.get("cookies")
    if not isinstance(listed, list) or not all(isinstance(cookie, dict) for cookie in listed):
        raise typer.BadParameter("must be a JSON list of cookies", param_hint="--cookies")
    # "httpOnly" is "HttpOnly" here, and a cookie of the session has no -1 for its end.
    return [
        {
            name[:1].upper() + name[1:]: value
            for name, value in cookie.items()
            if (name, value) != ("expires", -1)
        }
        for cookie in listed
    ]


def _netscape_cookies(file: Path) -> list[dict[str, Any]]:
    jar = MozillaCookieJar(file)
    try:
        with catch_warnings(action="ignore"):  # a whole traceback
            jar.load(ignore_discard=True, ignore_expires=True)
    except (LoadError, OSError, ValueError):
        raise typer.BadParameter("is neither a cookies.txt nor JSON", param_hint="--cookies") from None
    return [
        {
            "Name": cookie.name,
            "Value": cookie.value or "",
            "Domain": cookie.domain,
            "Path": cookie.path,
            "Secure": cookie.secure,
            "HttpOnly": cookie.has_nonstandard_attr("HTTPOnly"),
        }
        | ({"Expires": cookie.expires} if cookie.expires else {})
        for cookie in jar
    ]
