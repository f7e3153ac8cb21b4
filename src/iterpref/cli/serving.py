"""The command that opens the sandbox to other processes: serve."""

from typing import Annotated

from typer import Option

from .app import verb
from .opening import Repeatable


@verb()
def serve(
    host: Annotated[
        str, Option(help="Where to listen; another one than this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(help="0 takes a free one.")] = 8080,
    token: Annotated[
        str | None, Option(envvar="ITERPREF_TOKEN", help="What requests must carry as Authorization: Bearer.")
    ] = None,
    workers: Annotated[int | None, Option(help="Programs that run at once; default: the CPUs.")] = None,
    queue: Annotated[int, Option(help="Jobs that may wait; further ones get 429.")] = 256,
    preload: Annotated[Repeatable, Option(help="Module that each worker has loaded; repeatable.")] = None,
    isolation: Annotated[str, Option(help="A rung of the sandbox, or auto.")] = "auto",
    min_isolation: Annotated[str | None, Option(help="Refuse to start below this rung.")] = None,
    body_mib: Annotated[int, Option(help="Largest request.")] = 32,
) -> None:
    """Run programs for other processes over HTTP, until it is stopped.

    Reads and writes nothing. Routes: /jobs, /run_code, /submit, /health, /metrics (docs/service.md).
    Example: iterpref serve --port 8080 --preload numpy
    """
    from iterpref.packages import need_packages

    need_packages("iterpref serve", "fastapi", "uvicorn", "prometheus_client", extra="serve")
    from iterpref.sandbox import Sandbox
    from iterpref.service import ServiceSettings
    from iterpref.service import serve as answer

    settings = ServiceSettings(host=host, port=port, token=token, queue=queue, body_bytes=body_mib << 20)
    answer(Sandbox(workers, preload or (), isolation, min_isolation), settings)
