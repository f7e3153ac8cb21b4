"""Length-prefixed frames over a socket: how the host and its zygote speak.

In and out: a sequence of byte strings per message. Standard library only, no pickle, nothing is interpreted here.
"""

import socket
import struct

_COUNT = struct.Struct("!I")
_LENGTH = struct.Struct("!Q")
MAX_FRAME_BYTES = 1 << 30


class WireError(Exception):
    """The other side is gone or doesn't speak this protocol."""


def send(sock: socket.socket, *frames: bytes) -> None:
    """Write one message."""
    header = _COUNT.pack(len(frames)) + b"".join(_LENGTH.pack(len(frame)) for frame in frames)
    try:
        sock.sendall(b"".join((header, *frames)))
    except OSError as error:
        raise WireError(f"could not write: {error}") from error


def receive(sock: socket.socket) -> list[bytes]:
    """Read one message; `TimeoutError` after the socket's own timeout.

    Raises:
        WireError: The stream ended or a length is absurd.
    """
    (count,) = _COUNT.unpack(_exactly(sock, _COUNT.size))
    if count > 16:
        raise WireError(f"message of {count} frames")
    lengths = [_LENGTH.unpack(_exactly(sock, _LENGTH.size))[0] for _ in range(count)]
    if sum(lengths) > MAX_FRAME_BYTES:
        raise WireError(f"message of {sum(lengths)} bytes")
    return [_exactly(sock, length) for length in lengths]


def _exactly(sock: socket.socket, size: int) -> bytes:
    buffer = bytearray(size)
    view = memoryview(buffer)
    done = 0
    while done < size:
        try:
            got = sock.recv_into(view[done:])
        except TimeoutError:
            raise
        except OSError as error:
            raise WireError(f"could not read: {error}") from error
        if got == 0:
            raise WireError("the other side closed the connection")
        done += got
    return bytes(buffer)
