"""Pages that are copied when a process forks, instead of when it or its child first writes to them.

Such a later copy costs a fault each, and so does the parent's own first write after the fork. A page that a device
may write to can't be shared with a child, so Linux copies it at once, and leaves the parent's as it is; and the buffers
that are registered with an io_uring are such pages. Nothing is ever read or written through it. (`copy_present_page`
in mm/memory.c, since Linux 5.10; where io_uring is forbidden, forks are as they always were.)
"""

import ctypes
import os
import struct
from collections.abc import Collection

from . import syscalls

_SYS_SETUP, _SYS_REGISTER, _REGISTER_BUFFERS = 425, 427, 0  # the same numbers on every architecture
_PARAMS_BYTES = 120  # struct io_uring_params
_PRESENT, _OF_A_FILE, _OWN = 1 << 63, 1 << 61, 1 << 56  # of an entry in /proc/self/pagemap
_PAGE = os.sysconf("SC_PAGESIZE")


def open_ring() -> int:
    """A descriptor whose end is the end of what is pinned with it. Made by root, it counts against no limit.

    Raises:
        OSError: Not Linux, or io_uring is forbidden.
    """
    return syscalls.syscall(_SYS_SETUP, 1, ctypes.create_string_buffer(_PARAMS_BYTES))


def pin(ring: int, pages: Collection[int]) -> None:
    """Pin pages of this process, given by their addresses; once a ring.

    Raises:
        OSError: They are more than may be locked (`ulimit -l`).
    """
    stretches: list[list[int]] = []
    for page in sorted(pages):
        if stretches and sum(stretches[-1]) == page:
            stretches[-1][1] += _PAGE
        else:
            stretches.append([page, _PAGE])
    packed = b"".join(struct.pack("=QQ", start, size) for start, size in stretches)  # of struct iovec
    buffers = ctypes.create_string_buffer(packed, len(packed))
    syscalls.syscall(_SYS_REGISTER, ring, _REGISTER_BUFFERS, buffers, len(stretches))


def pages_of_its_own() -> set[int]:
    """Addresses of the writable pages that this process shares with no other: of those it was forked with, the ones
    written to since, by it or by all others."""
    found: set[int] = set()
    with open("/proc/self/maps") as maps, open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for line in maps.readlines():
            place, rights, *_, name = [*line.split(None, 5), ""][:6]
            if rights.startswith("rw-p") and not name.startswith("[stack"):
                start, stop = (int(address, 16) for address in place.split("-"))
                read = os.pread(pagemap.fileno(), (stop - start) // _PAGE * 8, start // _PAGE * 8)
                entries = struct.unpack(f"={len(read) // 8}Q", read)
                found.update(start + n * _PAGE for n, entry in enumerate(entries) if _is_own(entry))
    return found


def _is_own(entry: int) -> bool:
    return entry & (_PRESENT | _OF_A_FILE | _OWN) == _PRESENT | _OWN
