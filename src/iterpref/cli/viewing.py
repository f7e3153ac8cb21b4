"""The command that shows a run in a browser: view."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from .app import verb
from .opening import Repeatable, must_exist


@verb()
def view(
    run: Annotated[Path, Argument(help="The run folder.")],
    beside: Annotated[
        list[Path] | None, Option(help="Another run, whose models and tasks to compare; repeatable.")
    ] = None,
    tokenizer: Annotated[
        Repeatable, Option(help="Folder or hub id whose tokens can be shown, beside those of the run; repeatable.")
    ] = None,
    host: Annotated[
        str, Option(help="Where to listen; another one than this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(help="0 takes a free one.")] = 8081,
    token: Annotated[
        str | None, Option(envvar="ITERPREF_TOKEN", help="What readers must open the address with.")
    ] = None,
) -> None:
    """Show a run in a browser, live: tasks, trajectories, pairs and their tokens, training, results, comparisons.

    Reads the run, also while another command writes to it. Writes nothing but reviews.jsonl, the marks that you give to
    pairs, which `iterpref pair --reviewed` uses.
    Example: iterpref view runs/a
    """
    from iterpref.packages import need_packages

    need_packages("iterpref view", "fastapi", "uvicorn", extra="serve")
    must_exist(run)
    from iterpref.viewer.live import ViewSettings, serve_viewer

    serve_viewer(ViewSettings(run, tuple(beside or ()), tuple(tokenizer or ()), host, port, token))
