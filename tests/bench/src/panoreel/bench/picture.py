"""Whether a recording looks like its page: structure, against the page's own screenshot, and colours."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from panoreel.bench import media, recorder
from panoreel.bench.errors import RecordingFailed
from panoreel.bench.peers import HEADLESS, desk
from panoreel.bench.recorder import PICTURE
from panoreel.bench.site import Site
from panoreel.bench.ssim import luma_of, ssim

COLOURS: Final = (
    *("000000", "ffffff", "808080", "404040", "ff0000", "00ff00", "0000ff", "ffff00"),
    *("00ffff", "ff00ff", "cc0000", "00cc00", "0000cc", "886644", "446688", "668844"),
    *("101010", "f0f0f0", "c0c0c0", "202020", "e04000", "3366cc", "ffb454", "101629"),
    *("336699", "993366", "669933", "ccccff", "ffcccc", "ccffcc", "7f7f00", "007f7f"),
)
"""The cells of the page `colours`, row by row, eight in each."""

TO_RGB: Final = np.array([[1.0, 0.0, 1.5748], [1.0, -0.187324, -0.468124], [1.0, 1.8556, 0.0]])
"""From Y'CbCr to R'G'B' (ITU-R BT.709-6, section 3)."""

BT709, LIMITED = 1, 1
"""As libavutil numbers colour spaces and ranges."""

SHOWN_S: Final = 4.0
SCREENSHOT_TIMEOUT_S: Final = 30.0


async def measure(site: Site, page: str, seconds: float) -> dict[str, Any]:
    """`{"ssim", "colour_error", "tagged_bt709"}`: the page against its screenshot, and the page `colours`."""
    screenshot = await _screenshot(site.url(page))
    seconds = max(seconds, SHOWN_S)
    found: float = await recorder.record(
        site.url(page), seconds, lambda recording: ssim(_last_luma(recording.files), screenshot)
    )
    colours: dict[str, Any] = await recorder.record(
        site.url("colours"), seconds, lambda recording: _colours(recording.files)
    )
    return {"ssim": round(found, 4)} | colours


async def _screenshot(url: str) -> NDArray[np.float64]:
    """The page's luma, 0 to 255 as in a recording, as headless Chromium draws it."""
    async with desk() as at:
        file = at.home / "screenshot.png"
        await at.show(*HEADLESS, "--virtual-time-budget=2000", f"--screenshot={file}", url)
        try:
            await asyncio.wait_for(at.running[0].wait(), SCREENSHOT_TIMEOUT_S)
        except TimeoutError:
            raise RecordingFailed(f"headless Chromium made no screenshot of {url}") from None
        with av.open(str(file)) as container:
            [frame] = container.decode(video=0)
            return luma_of(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))


def _last_luma(files: Sequence[Path]) -> NDArray[np.float64]:
    *_, last = media.frames(files[-1:])
    return last.luma.astype(float)


def _colours(files: Sequence[Path]) -> dict[str, Any]:
    with av.open(str(files[-1])) as container:
        *_, frame = container.decode(video=0)
        tagged = (int(frame.colorspace), int(frame.color_range)) == (BT709, LIMITED)
        planes = frame.to_ndarray(format="yuv420p").astype(float)
    return {"colour_error": round(colour_error(planes), 2), "tagged_bt709": tagged}


def colour_error(planes: NDArray[np.float64]) -> float:
    """The farthest that a channel of a cell is from its colour, in 8 bit levels.

    `planes` is Y'CbCr 4:2:0 of limited range, one plane below the other, (height * 3 / 2, width).
    """
    height, width = PICTURE.height, PICTURE.width
    luma = planes[:height]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    errors = []
    for cell, colour in enumerate(COLOURS):
        row, column = divmod(cell, 8)
        y, cb, cr = (_middle(plane, row, column) for plane in (luma, *chroma))
        rgb = TO_RGB @ ((y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224) * 255
        wanted = np.array([int(colour[at : at + 2], 16) for at in (0, 2, 4)])
        errors.append(np.abs(np.clip(rgb, 0, 255) - wanted).max())
    return float(max(errors))


def _middle(plane: NDArray[np.float64], row: int, column: int) -> float:
    """The mean of the middle of one of 4 rows by 8 columns of cells."""
    height, width = plane.shape[0] // 4, plane.shape[1] // 8
    cell = plane[row * height : (row + 1) * height, column * width : (column + 1) * width]
    return float(cell[height // 4 : -height // 4, width // 4 : -width // 4].mean())
