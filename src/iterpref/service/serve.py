"""Listen: the application on a socket, until a signal ends it gracefully."""

from iterpref.listening import address, listen, serve_until_signal
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

    listening = listen(settings.host, settings.port, _CONNECTIONS)
    config = uvicorn.Config(
        service_app(sandbox, settings),
        log_level="warning",
        access_log=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.grace_s),
        server_header=False,
    )
    where = f"serving on {address(listening)} ({sandbox.workers} workers, {sandbox.isolation})"
    serve_until_signal(uvicorn.Server(config), listening, where)
