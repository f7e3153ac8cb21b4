"""Listen: the application on a socket, until a signal ends it gracefully."""

import signal
import socket
import sys

from iterpref.errors import ConfigError
from iterpref.sandbox import Sandbox

from .app import service_app
from .settings import ServiceSettings

_CONNECTIONS = 512  # each takes a descriptor, of which a process often has 1,024


def serve(sandbox: Sandbox, settings: ServiceSettings) -> None:
    """Answer until SIGINT or SIGTERM; then take no more, finish what runs, and close the sandbox.

    Raises:
        ConfigError: The port is taken, or the host isn't this machine's.
    """
    import uvicorn

    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(
        f"serving on http://{shown}:{port} ({sandbox.workers} workers, {sandbox.isolation})",
        file=sys.stderr,
        flush=True,
    )
    config = uvicorn.Config(
        service_app(sandbox, settings),
        log_level="warning",
        access_log=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.grace_s),
        server_header=False,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn ends at either, and then raises it again for whoever listens
    with listening:
        uvicorn.Server(config).run(sockets=[listening])
    print("stopped", file=sys.stderr)


def _listen(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_CONNECTIONS)
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigError(f"{settings.host} port {settings.port}: {error}; choose another --port or --host") from None
    return listening
