"""Commands that show a run: in a terminal, show; in a browser, view."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from iterpref.errors import IterPrefError, StoreError

from .app import AsJson, verb
from .opening import Repeatable, must_exist
from .output import finish, say_as_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from iterpref.store import Store, TaskFilter


@verb()
def show(
    run: Annotated[Path, Argument(help="The run folder.")],
    task: Annotated[str, Argument(help="A task's id, a part of it, or a trajectory's id; without it the tasks.")] = "",
    status: Annotated[str, Option(help="Only passed, unresolved, failed_tools, untried, or 'under way'.")] = "",
    origin: Annotated[str, Option(help="Only debugging, sampling, or import.")] = "",
    failure: Annotated[str, Option(help="Only what failed with this verdict or exception, as KeyError.")] = "",
    search: Annotated[str, Option(help="Only tasks with this text in their ids.")] = "",
    most: Annotated[int, Option(min=1, help="Tasks to list.")] = 30,
    tests: Annotated[bool, Option("--tests", help="Also print the task's tests.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a run in the terminal: its tasks, or of one task each program, what its tests said, what the model was told
    and what it changed.

    Reads the run, also while another command writes to it. Writes nothing.
    Example: iterpref show runs/a --status unresolved
    Example: iterpref show runs/a TASK
    """
    must_exist(run)
    from iterpref.store import Store, TaskFilter

    with Store.open(run, write=False) as store:
        if task:
            _show_task(store, task, tests, as_json)
        else:
            wanted = TaskFilter(text=search, status=status, origin=origin, failure=failure)
            _check_filter(store, wanted)
            _show_run(store, wanted, most, as_json)


def _show_run(store: "Store", wanted: "TaskFilter", most: int, as_json: bool) -> None:
    from iterpref.viewer.terminal import listed, run_facts, task_table

    facts, tasks, found = run_facts(store), listed(store, wanted, most), store.count_listed_tasks(wanted)
    if as_json:
        rows = [{"task": name, "trajectories": [vars(line) for line in lines]} for name, lines in tasks]
        say_as_json({**facts, "found": found, "listed": rows})
        return
    finish(facts, as_json=False)
    console = _console()
    if tasks:
        _print(console, ["", task_table(store, tasks, console.width)])
    more = f"{found} tasks; --most {found} lists them all" if found > len(tasks) else f"{found} tasks"
    _print(console, [f"\n{more}, iterpref show {store.folder} TASK shows one"])


def _show_task(store: "Store", name: str, tests: bool, as_json: bool) -> None:
    from iterpref.viewer.terminal import task_view

    task_id, only = _found(store, name)
    task = store.task(task_id)
    if as_json:
        lines = [line for line in store.trajectory_lines([task_id]) if only in ("", line.trajectory_id)]
        trajectories = [_trajectory(store, line.trajectory_id) for line in lines]
        say_as_json({"task": task.model_dump(mode="json"), "trajectories": trajectories})
    else:
        _print(_console(), task_view(store, task, only, tests))


def _trajectory(store: "Store", name: str) -> dict[str, Any]:
    """The record of a trajectory; of one under way its attempts so far."""
    closed = store.trajectory(name)
    if closed is not None:
        return closed.model_dump(mode="json")
    attempts = [attempt.model_dump(mode="json") for attempt in store.attempts(name)]
    return {"trajectory_id": name, "status": "under way", "attempts": attempts}


def _found(store: "Store", name: str) -> tuple[str, str]:
    """The task that is meant, and the one trajectory of it that is, if one was named."""
    from iterpref.store import TaskFilter

    if store.find_task(name) is not None:
        return name, ""
    if (line := store.trajectory_line(name)) is not None:
        return line.task_id, name
    like = store.task_page(TaskFilter(text=name))
    if len(like) == 1:
        return like[0], ""
    if like:
        count = store.count_listed_tasks(TaskFilter(text=name))
        raise StoreError(f"{name}: {count} tasks have this in their ids; name one:\n  " + "\n  ".join(like[:10]))
    near = difflib.get_close_matches(name, store.task_page(TaskFilter()), n=3, cutoff=0.5)
    advice = f"; did you mean {' or '.join(near)}?" if near else f"; iterpref show {store.folder} lists them"
    raise StoreError(f"{store.folder}: no task {name}{advice}")


def _check_filter(store: "Store", wanted: "TaskFilter") -> None:
    """Refuse words that no task can have, which would look like an empty run."""
    from iterpref.store import UNDER_WAY, UNTRIED

    known = {
        "status": ("passed", "unresolved", "failed_tools", UNDER_WAY, UNTRIED),
        "origin": ("debugging", "sampling", "import"),
        "failure": tuple(store.trajectory_failures()) if wanted.failure else (),
    }
    for name, words in known.items():
        given = getattr(wanted, name)
        if given and given not in words:
            near = difflib.get_close_matches(given, words, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are: {', '.join(words) or 'none'}"
            raise IterPrefError(f"--{name} {given}: no such {name} in this run; {advice}")


def _console() -> "Console":
    """Standard output, in colours where that is a terminal; elsewhere lines are as long as they are."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=1000)


def _print(console: "Console", parts: "Iterable[RenderableType]") -> None:
    """Long lines of text go on, so that programs can be copied."""
    for part in parts:
        console.print(part, soft_wrap=not hasattr(part, "columns"), markup=False)


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
