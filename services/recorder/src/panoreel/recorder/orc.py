"""Loops over pictures that the Orc library compiles for the processor at hand.

Orc (gstreamer.freedesktop.org/modules/orc.html) comes along with PulseAudio. It knows the vector instructions
of each processor, so that no compiler is needed here, and nothing must be built for each kind of machine.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LIBRARY: Final = "liborc-0.4.so.0"
_FIRST_FAILURE: Final = 0x100
"""`OrcCompileResult` from here on is none of success (orcprogram.h)."""


class OrcUnavailable(Exception):
    """The Orc library is not installed, or cannot compile for this processor."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Where the rows of a two-dimensional array begin, `stride` bytes apart from each other."""

    address: int
    stride: int


class Loops:
    """The two-dimensional functions of a text in Orc's language; for one thread."""

    def __init__(self, text: str) -> None:
        """Compile them all; raises `OrcUnavailable`."""
        self._orc = _library()
        programs, log = ctypes.POINTER(ctypes.c_void_p)(), ctypes.c_char_p()
        count = self._orc.orc_parse_full(text.encode(), ctypes.byref(programs), ctypes.byref(log))
        if log.value:
            raise OrcUnavailable(f"Orc does not understand: {log.value.decode().strip()}")
        self._loops: dict[str, tuple[int, int]] = {}
        for program in programs[:count]:
            name = self._orc.orc_program_get_name(program).decode()
            if self._orc.orc_program_compile(program) >= _FIRST_FAILURE:
                raise OrcUnavailable(f"Orc cannot compile {name} for this processor")
            self._loops[name] = program, self._orc.orc_executor_new(program)

    def run(self, name: str, size: tuple[int, int], given: Mapping[str, Rows | int]) -> None:
        """Run a function for so many columns and rows, with arrays and parameters by their names.

        The arrays are read or written as far as their elements' sizes say, without any check.
        """
        program, executor = self._loops[name]
        columns, rows = size
        self._orc.orc_executor_set_n(executor, columns)
        self._orc.orc_executor_set_m(executor, rows)
        for variable, value in given.items():
            number = self._orc.orc_program_find_var_by_name(program, variable.encode())
            if isinstance(value, Rows):  # to be set each time: a run moves it on
                self._orc.orc_executor_set_array(executor, number, value.address)
                self._orc.orc_executor_set_stride(executor, number, value.stride)
            else:
                self._orc.orc_executor_set_param(executor, number, value)
        self._orc.orc_executor_run(executor)


def _library() -> ctypes.CDLL:
    try:
        orc = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise OrcUnavailable(str(error)) from error
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    out = ctypes.POINTER
    signatures: dict[str, tuple[Any, ...]] = {
        "orc_parse_full": (number, text, out(out(pointer)), out(text)),
        "orc_program_get_name": (text, pointer),
        "orc_program_compile": (number, pointer),
        "orc_program_find_var_by_name": (number, pointer, text),
        "orc_executor_new": (pointer, pointer),
        "orc_executor_set_n": (None, pointer, number),
        "orc_executor_set_m": (None, pointer, number),
        "orc_executor_set_array": (None, pointer, number, pointer),
        "orc_executor_set_stride": (None, pointer, number, number),
        "orc_executor_set_param": (None, pointer, number, number),
        "orc_executor_run": (None, pointer),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(orc, name)
        function.restype, function.argtypes = result, arguments
    orc.orc_init()
    return orc
