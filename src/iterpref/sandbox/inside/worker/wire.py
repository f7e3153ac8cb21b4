"""Length-prefixed frames over a socket: how the host and its zygote speak.

In and out: a sequence of byte strings per message. Standard library only, no pickle. What the host sends may be
marshalled, for the host is trusted; what comes back is only unpacked as numbers and text.
"""

import socket
import struct

_COUNT = struct.Struct("!I")
_LENGTH = struct.Struct("!Q")
_OUTCOME = struct.Struct("!iddQ")
MAX_FRAME_BYTES = 1 << 30
_CHUNK, _LARGE_CHUNK = 1 << 14, 1 << 20


class WireError(Exception):
    """The other side is gone or doesn't speak this protocol."""


def send(sock: socket.socket, *frames: bytes) -> None:
    """Write one message."""
    header = struct.pack(f"!I{len(frames)}Q", len(frames), *map(len, frames))
    try:
        sock.sendall(b"".join((header, *frames)))
    except OSError as error:
        raise WireError(f"could not write: {error}") from error


def receive(sock: socket.socket) -> list[bytes]:
    """Read one message; `TimeoutError` after the socket's own timeout.

    The two sides take turns, so no second message can be on its way, and a small one comes with a single read.

    Raises:
        WireError: The stream ended, a length is absurd, or the other side spoke out of turn.
    """
    data = bytearray()
    _read_up_to(sock, data, _COUNT.size)
    (count,) = _COUNT.unpack_from(data)
    if count > 16:
        raise WireError(f"message of {count} frames")
    stop = _COUNT.size + count * _LENGTH.size
    _read_up_to(sock, data, stop)
    lengths = struct.unpack_from(f"!{count}Q", data, _COUNT.size)
    if sum(lengths) > MAX_FRAME_BYTES:
        raise WireError(f"message of {sum(lengths)} bytes")
    _read_up_to(sock, data, stop + sum(lengths))
    if len(data) > stop + sum(lengths):
        raise WireError("more than one message at a time")
    frames, view = [], memoryview(data)
    for length in lengths:
        frames.append(bytes(view[stop : stop + length]))
        stop += length
    return frames


def pack_outcome(
    status: int, limit: str, wall_s: float, cpu_s: float, max_rss_bytes: int, setup_error: str
) -> tuple[bytes, bytes, bytes]:
    """How a run ended, as three frames."""
    return _OUTCOME.pack(status, wall_s, cpu_s, max_rss_bytes), limit.encode(), setup_error.encode()


def unpack_outcome(numbers: bytes, limit: bytes, setup_error: bytes) -> tuple[int, str, float, float, int, str]:
    """What `pack_outcome` was given.

    Raises:
        WireError: Not what it writes.
    """
    try:
        status, wall_s, cpu_s, max_rss_bytes = _OUTCOME.unpack(numbers)
    except struct.error as error:
        raise WireError(f"outcome of a run: {error}") from error
    return status, limit.decode(), wall_s, cpu_s, max_rss_bytes, setup_error.decode(errors="replace")


def _read_up_to(sock: socket.socket, data: bytearray, size: int) -> None:
    """Read until there are at least so many bytes."""
    while len(data) < size:
        try:
            got = sock.recv(min(max(size - len(data), _CHUNK), _LARGE_CHUNK))
        except TimeoutError:
            raise
        except OSError as error:
            raise WireError(f"could not read: {error}") from error
        if not got:
            raise WireError("the other side closed the connection")
        data += got
