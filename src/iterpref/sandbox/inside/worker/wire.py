"""How the host and its zygote speak: a message is a sequence of length-prefixed byte strings over a socket. No pickle.

What the host sends may be marshalled, for the host is trusted; what comes back is only unpacked as numbers and text.
"""

import socket
import struct
from dataclasses import dataclass

_COUNT = struct.Struct("!I")
_NUMBERS = struct.Struct("!iddQ")
MAX_BYTES = 1 << 30
_CHUNK, _LARGE_CHUNK = 1 << 14, 1 << 20


@dataclass
class RawRun:
    """One run as the zygote saw it. `status`: exit code, or minus the signal. `limit`: the field of `Limits` broken."""

    status: int = 0
    limit: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    setup_error: str = ""
    channel: bytes = b""
    stdout: bytes = b""
    stderr: bytes = b""


class WireError(Exception):
    """The other side is gone or doesn't speak this protocol."""


def send(sock: socket.socket, *parts: bytes) -> None:
    """Write one message."""
    header = struct.pack(f"!I{len(parts)}Q", len(parts), *map(len, parts))
    try:
        sock.sendall(b"".join((header, *parts)))
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
    stop = _COUNT.size + 8 * count
    _read_up_to(sock, data, stop)
    lengths = struct.unpack_from(f"!{count}Q", data, _COUNT.size)
    if sum(lengths) > MAX_BYTES:
        raise WireError(f"message of {sum(lengths)} bytes")
    _read_up_to(sock, data, stop + sum(lengths))
    if len(data) > stop + sum(lengths):
        raise WireError("more than one message at a time")
    parts, view = [], memoryview(data)
    for length in lengths:
        parts.append(bytes(view[stop : stop + length]))
        stop += length
    return parts


def pack_run(run: RawRun) -> list[bytes]:
    """How a run ended, as one message."""
    numbers = _NUMBERS.pack(run.status, run.wall_s, run.cpu_s, run.max_rss_bytes)
    return [numbers, run.limit.encode(), run.setup_error.encode(), run.channel, run.stdout, run.stderr]


def unpack_run(parts: list[bytes]) -> RawRun:
    """What `pack_run` was given; raises `WireError` for anything else."""
    try:
        numbers, limit, setup_error, *streams = parts
        status, wall_s, cpu_s, max_rss_bytes = _NUMBERS.unpack(numbers)
    except (struct.error, ValueError) as error:
        raise WireError(f"outcome of a run: {error}") from error
    told = setup_error.decode(errors="replace")
    return RawRun(status, limit.decode(), wall_s, cpu_s, max_rss_bytes, told, *streams)


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
