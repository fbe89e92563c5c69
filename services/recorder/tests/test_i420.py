"""Colours as ITU-R BT.709-6 has them, whoever converts them."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from panoreel.contracts.media import EncoderParameters
from panoreel.recorder import orc
from panoreel.recorder.i420 import PictureConverter
from panoreel.recorder.orc import Loops, OrcUnavailable


@pytest.fixture(params=["orc", "libswscale"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Orc compiles here; without it all is as well."""
    if request.param == "libswscale":
        monkeypatch.setattr(orc, "LIBRARY", "libabsent.so.0")
    return str(request.param)


def converted(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Luma (height, width), and chroma (2, height / 2, width / 2), of the even size."""
    height, width, _ = picture.shape
    frame = PictureConverter(EncoderParameters(width=width, height=height)).convert(picture)
    luma, *chroma = (
        np.frombuffer(memoryview(plane), np.uint8)
        .reshape(-1, plane.line_size)[:, : plane.width]
        .astype(float)
        for plane in frame.planes
    )
    return luma, np.stack(chroma)


def wanted(bgra: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same of a picture of even size (items 3.2 to 3.4, and 4.6 for 8 bits)."""
    blue, green, red = (bgra[:, :, index] / 255 for index in range(3))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    differences = np.stack(((blue - luma) / 1.8556, (red - luma) / 1.5748))
    _, height, width = differences.shape
    quartets = differences.reshape(2, height // 2, 2, width // 2, 2)
    return 219 * luma + 16, 224 * quartets.mean((2, 4)) + 128


def test_plain_colours(way: str) -> None:
    levels = list(itertools.product((0, 1, 64, 127, 128, 200, 254, 255), repeat=3))
    picture = np.zeros((2 * len(levels), 16, 4), np.uint8)
    picture[:, :, :3] = np.repeat(np.array(levels, np.uint8), 2, axis=0)[:, np.newaxis]
    luma, chroma = converted(picture)
    right_luma, right_chroma = wanted(picture)
    off = {"orc": 0.55, "libswscale": 1.25}[way]
    assert np.abs(luma - right_luma).max() < off
    assert np.abs(chroma - right_chroma).max() < off
    grey = picture[::2, 0, 0] == picture[::2, 0, 1]
    grey &= picture[::2, 0, 1] == picture[::2, 0, 2]
    assert (chroma[:, grey] == 128).all(), "no tint"


def test_colours_come_back() -> None:
    """To within two levels, all over the cube."""
    levels = np.array(list(itertools.product(range(0, 256, 5), repeat=3)), np.uint8)
    levels = np.pad(levels, ((0, -len(levels) % 512), (0, 1)))
    picture = np.ascontiguousarray(levels.reshape(-1, 512, 4).repeat(2, 0).repeat(2, 1))
    luma, (cb, cr) = converted(picture)
    luma, cb, cr = (luma[::2, ::2] - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red, blue = luma + 1.5748 * cr, luma + 1.8556 * cb
    green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
    back = 255 * np.stack((blue, green, red), axis=2)
    assert np.abs(back - picture[::2, ::2, :3]).max() < 2


@pytest.mark.parametrize("size", [(2, 2), (34, 6), (642, 18), (1280, 720)])
def test_any_picture(size: tuple[int, int]) -> None:
    """Chroma is the mean of four pixels, which libswscale takes less exactly."""
    width, height = size
    picture = np.random.default_rng(width).integers(0, 256, (height, width, 4), np.uint8)
    luma, chroma = converted(picture)
    right_luma, right_chroma = wanted(picture)
    assert np.abs(luma - right_luma).max() < 0.55
    assert np.abs(chroma - right_chroma).max() < 1.55


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (321, 179), (16, 5), (5, 16)])
def test_an_odd_edge_is_repeated(way: str, size: tuple[int, int]) -> None:
    width, height = size
    picture = np.random.default_rng(width).integers(0, 256, (height, width, 4), np.uint8)
    even = np.ascontiguousarray(np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
    for found, right in zip(converted(picture), converted(even), strict=True):
        assert (found == right).all()


def test_what_orc_does_not_understand_is_told() -> None:
    with pytest.raises(OrcUnavailable, match="no_such_opcode"):
        Loops(".function f\n.dest 1 d guint8\n.source 1 s guint8\nno_such_opcode d, s\n")
