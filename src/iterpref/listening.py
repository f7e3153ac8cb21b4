"""A socket to serve on, and who may be on its other side. Shared by the servers of this package.

Without a token anybody on this machine may ask, and so could a web page in its user's browser. So a server listens on
this machine's own address unless it has a token, and without one answers only to this machine's own names.
"""

import hmac
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from iterpref.errors import ConfigError

if TYPE_CHECKING:
    from uvicorn import Server

_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")


def on_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_reach(host: str, token: str | None) -> None:
    """Refuse with a ConfigError a host that other machines reach, without a token."""
    if not token and not on_loopback(host):
        raise ConfigError(
            f"host {host} can be reached from other machines: give a token (--token, or ITERPREF_TOKEN), or listen on "
            "127.0.0.1"
        )


def named_host(headers: Mapping[str, str]) -> str:
    """The host that a request was sent to, without its port; an IPv6 address stands in brackets."""
    named = headers.get("host", "")
    return named if named.endswith("]") else named.rsplit(":", 1)[0]


def is_own_name(name: str, host: str) -> bool:
    """Whether `name` is one of this machine's own; else a page of another site was given our address by its DNS."""
    return name in (*_OWN_NAMES, host)


def same_token(given: str, token: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def listen(host: str, port: int, connections: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ConfigError: The port is taken, or the host isn't this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(connections)
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigError(f"{host} port {port}: {error}; choose another --port or --host") from None
    return listening


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve_until_signal(server: "Server", listening: socket.socket, announcement: str) -> None:
    """Say where a server listens, and run it until SIGINT or SIGTERM, which may come before it runs."""

    def end(*_: object) -> None:  # uvicorn ends at either by itself, and then raises it again for whoever was there
        server.should_exit = True

    def while_serving(record: logging.LogRecord) -> bool:  # a request that an end cuts short is no error
        return not server.should_exit

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    errors = logging.getLogger("uvicorn.error")
    errors.addFilter(while_serving)
    print(announcement, file=sys.stderr, flush=True)
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        errors.removeFilter(while_serving)
    print("stopped", file=sys.stderr)
