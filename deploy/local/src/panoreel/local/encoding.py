"""The options of `panoreel record` and `panoreel start` about formats, pictures and sound."""

from typing import Annotated, Final, Literal

from typer import Option

Muxer = Literal["mp4", "hls"]
Formats = Annotated[
    Literal["mp4", "hls", "both"] | None,
    Option("--muxer", help="A file, a playlist with its segments, or both."),
]
EXTENSIONS: Final[dict[Muxer, str]] = {"mp4": ".mp4", "hls": ".m3u8"}


def muxers(formats: Literal["mp4", "hls", "both"] | None) -> tuple[Muxer, ...]:
    """What the API calls `Muxers`."""
    return ("mp4", "hls") if formats == "both" else (formats or "mp4",)


Fps = Annotated[int | None, Option(min=1, max=60, help="Pictures a second, at most.")]
Bitrate = Annotated[
    int | None, Option(min=50_000, max=50_000_000, help="Of the pictures, bits per second; instead of --crf.")
]
Crf = Annotated[int | None, Option(min=1, max=51, help="Quality of the pictures; 1 is the best.")]
KeyframeInterval = Annotated[float | None, Option(min=0.5, max=10, help="Seconds.")]
AudioBitrate = Annotated[int | None, Option(min=0, max=512_000, help="Of the sound, bits per second.")]
AudioOnly = Annotated[bool, Option("--audio-only", help="Record no pictures.")]
VideoOnly = Annotated[bool, Option("--video-only", help="Record no sound.")]
