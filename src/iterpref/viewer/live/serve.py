"""Listen: the viewer on a socket, until a signal ends it."""

from iterpref.listening import address, listen, serve_until_signal

from .app import viewer_app
from .settings import ViewSettings

_CONNECTIONS = 128


def serve_viewer(settings: ViewSettings) -> None:
    """Show the run until SIGINT or SIGTERM.

    Raises:
        ConfigError: The port is taken, or the host isn't this machine's.
    """
    import uvicorn

    listening = listen(settings.host, settings.port, _CONNECTIONS)
    guarded = viewer_app(settings)
    entrance = "/?token=…" if settings.token else "/"  # the token itself stays out of logs
    server = uvicorn.Server(uvicorn.Config(
        guarded, log_level="error", access_log=False, limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=2,
        server_header=False,
    ))  # fmt: skip
    guarded.end_streams_when(lambda: server.should_exit)
    serve_until_signal(server, listening, f"{settings.run}: open {address(listening)}{entrance} (Ctrl-C ends)")
