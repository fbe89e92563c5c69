"""Only the rows that have changed are taken and converted, and nobody can tell."""

import numpy as np
import pytest
from numpy.typing import NDArray

from panoreel.contracts.media import EncoderParameters
from panoreel.recorder.bands import Bands, bands
from panoreel.recorder.i420 import PictureConverter


@pytest.mark.parametrize(
    ("extents", "expected"),
    [
        ([], ()),
        ([(0, 721)], ((0, 721),)),
        ([(-5, 3)], ((0, 4),)),
        ([(719, 900)], ((718, 721),)),
        ([(721, 730), (-9, 0), (5, 5)], ()),
        ([(401, 402), (101, 103)], ((100, 104), (400, 402))),
        ([(10, 20), (83, 90)], ((10, 90),)),
        ([(10, 20), (84, 90)], ((10, 20), (84, 90))),
        ([(10, 200), (30, 40), (263, 270)], ((10, 270),)),
    ],
)
def test_bands_cover_what_changed(extents: list[tuple[int, int]], expected: Bands) -> None:
    """With even edges, within the picture, and near ones are one."""
    assert bands(extents, 721) == expected


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (64, 7), (321, 179), (1280, 720)])
def test_converting_bands_gives_what_converting_everything_gives(size: tuple[int, int]) -> None:
    width, height = size
    parameters = EncoderParameters(width=width, height=height)
    random = np.random.default_rng(width)
    picture = random.integers(0, 256, (height, width, 4), np.uint8)
    converter = PictureConverter(parameters)
    converter.convert(picture, ())
    tops = [0, (height - 1) // 2 * 2, *random.integers(0, height, 20) // 2 * 2]
    for top in tops:
        bottom = min(height, int(top) + 2 * int(random.integers(1, height // 2 + 2)))
        picture[top:bottom] = random.integers(0, 256, (bottom - top, width, 4), np.uint8)
        frame = _i420(converter, picture, ((int(top), bottom),))
        assert (frame == _i420(PictureConverter(parameters), picture, None)).all()
    picture[:] = 0
    assert (_i420(converter, picture, ()) == frame).all(), "what has not changed is not read"


def _i420(
    converter: PictureConverter, picture: NDArray[np.uint8], changed: Bands | None
) -> NDArray[np.uint8]:
    return converter.convert(picture, changed).to_ndarray().astype(np.uint8)
