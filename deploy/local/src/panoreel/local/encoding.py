"""The options of `panoreel record` and `panoreel start` about pictures and sound."""

from typing import Annotated

from typer import Option

Fps = Annotated[int | None, Option(min=1, max=60, help="Pictures a second, at most.")]
Bitrate = Annotated[
    int | None, Option(min=50_000, max=50_000_000, help="Of the pictures, bits per second; instead of --crf.")
]
Crf = Annotated[int | None, Option(min=1, max=51, help="Quality of the pictures; 1 is the best.")]
KeyframeInterval = Annotated[float | None, Option(min=0.5, max=10, help="Seconds.")]
AudioBitrate = Annotated[int | None, Option(min=0, max=512_000, help="Of the sound, bits per second.")]
AudioOnly = Annotated[bool, Option("--audio-only", help="Record no pictures.")]
VideoOnly = Annotated[bool, Option("--video-only", help="Record no sound.")]
