"""A System V shared memory segment that an X server of another user can write into (MIT-SHM)."""

import ctypes
import os
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

IPC_PRIVATE, IPC_CREAT = 0, 0o1000
IPC_RMID, IPC_SET, IPC_STAT = 0, 1, 2
FAILED = ctypes.c_void_p(-1).value


class ShmidDs(ctypes.Structure):
    """`struct shmid_ds` of shmctl(2) as far as its owner; Linux lays `struct ipc_perm` out so everywhere."""

    _fields_ = (
        ("key", ctypes.c_int),
        ("uid", ctypes.c_uint),
        ("gid", ctypes.c_uint),
        ("rest", ctypes.c_byte * 256),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmget.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
_libc.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_libc.shmat.restype = ctypes.c_void_p
_libc.shmctl.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.POINTER(ShmidDs))
_libc.shmdt.argtypes = (ctypes.c_void_p,)


class SharedMemory:
    """`size` bytes that the user `uid` may attach by `id`, mapped here at once.

    The segment is marked for removal as soon as it is mapped: Linux still lets it be attached by its id then
    (NOTES in shmctl(2)), and it goes away with the last process that maps it, however that ends.
    """

    def __init__(self, size: int, uid: int) -> None:
        self.size = size
        self.id = _checked(_libc.shmget(IPC_PRIVATE, size, IPC_CREAT | 0o600), "shmget")
        address = _libc.shmat(self.id, None, 0)
        owner = ShmidDs()
        _checked(_libc.shmctl(self.id, IPC_STAT, ctypes.byref(owner)), "shmctl")
        owner.uid = uid
        _checked(_libc.shmctl(self.id, IPC_SET, ctypes.byref(owner)), "shmctl")
        _checked(_libc.shmctl(self.id, IPC_RMID, None), "shmctl")
        if address in (None, FAILED):
            raise OSError(ctypes.get_errno(), "shmat")
        self._address: int = address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Unmap the segment: arrays made by `array` must not be touched afterwards."""
        _libc.shmdt(self._address)

    def array(self, *shape: int) -> NDArray[np.uint8]:
        """The memory as an array of bytes of this shape, not copied."""
        buffer: Any = (ctypes.c_uint8 * self.size).from_address(self._address)
        return np.frombuffer(buffer, dtype=np.uint8).reshape(shape)


def _checked(result: int, call: str) -> int:
    if result < 0:
        raise OSError(errno := ctypes.get_errno(), f"{call}: {os.strerror(errno)}")
    return result
