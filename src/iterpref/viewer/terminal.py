"""A run → what a terminal shows of it: its tasks in a table, and of one task each program, what was said, what changed.

In: an open store. Out: rich's renderables, in order; without a terminal they are plain text. Everything that a model or
a program wrote goes through `visible.shown`, and nothing of it is read as markup. Not here: pages (`live/`).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from iterpref.analysis.taxonomy import failure_kind
from iterpref.feedback import feedback_text
from iterpref.records import Attempt, Task, Trajectory, as_messages
from iterpref.store import UNTRIED, Store, TaskFilter, TrajectoryLine
from iterpref.viewer.diffs import beneath
from iterpref.visible import bounded, one_line, shown

_COLOURS = {"passed": "green", "unresolved": "yellow", "under way": "cyan", UNTRIED: "dim"}  # of others red
_LEAST_PROMPT = 20  # characters, or prompts are left out of a table
_SIGNS = {"−": "red", "+": "green", "…": "dim"}
_PYTHON = Syntax("", "python", theme="ansi_dark", background_color="default")


def run_facts(store: Store) -> dict[str, Any]:
    """A run in numbers that are cheap at any size."""
    origins = {
        found.origin: {
            "trajectories": sum(found.statuses.values()),
            "statuses": found.statuses,
            "pass_rate_by_iteration": [round(rate, 4) for rate in found.pass_rates],
        }
        for found in store.origins()
    }
    pairs = {"pairs": store.count("pairs"), "kept": store.count_kept_pairs()}
    results = [
        {"model": result.model, "benchmark": result.benchmark, "pass@1": result.metrics.get("pass@1")}
        for result in store.results()
    ]
    return {"tasks": store.count("tasks"), "origins": origins, **pairs, "results": results}


def listed(store: Store, wanted: TaskFilter, most: int) -> list[tuple[str, list[TrajectoryLine]]]:
    """The first tasks that a filter finds, each with its trajectories."""
    ids: list[str] = []
    page = 0
    while len(ids) < most and (found := store.task_page(wanted, page)):
        ids += found
        page += 1
    ids = ids[:most]
    lines: dict[str, list[TrajectoryLine]] = {name: [] for name in ids}
    for line in store.trajectory_lines(ids):
        lines[line.task_id].append(line)
    return [(name, _asked_for(found, wanted)) for name, found in lines.items()]


def _asked_for(lines: list[TrajectoryLine], wanted: TaskFilter) -> list[TrajectoryLine]:
    """Of a task that was found those trajectories that may be meant."""
    asked = {"status": wanted.status, "origin": wanted.origin}
    fitting = [line for line in lines if all(not value or getattr(line, key) == value for key, value in asked.items())]
    return fitting or lines


def task_table(store: Store, tasks: list[tuple[str, list[TrajectoryLine]]], width: int) -> Table:
    """One row a trajectory, or a task without any; ids are whole, and prompts get what is left of `width` columns."""
    rows = [
        (
            shown(line.task_id),
            line.origin,
            line.status,
            str(line.attempts or ""),
            one_line(", ".join(line.failures), 30),
        )
        for name, lines in tasks
        for line in lines or [TrajectoryLine("", name, "", UNTRIED, 0, ())]
    ]
    heads = ("task", "origin", "status", "programs", "failed with")
    taken = sum(max(map(len, column)) + 2 for column in zip(heads, *rows, strict=True))
    room = min(60, width - taken)
    records = store.tasks_of([name for name, _ in tasks]) if room >= _LEAST_PROMPT else {}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in (*heads, *(["prompt"] if records else [])):
        table.add_column(head, no_wrap=head != "task", overflow="fold")
    for name, origin, status, programs, failures in rows:
        prompt = [Text(one_line(_prompt(records[name]), room), style="dim")] if name in records else []
        table.add_row(Text(name), origin, Text(status, style=_colour(status)), programs, Text(failures), *prompt)
    return table


def task_view(store: Store, task: Task, only: str = "", tests: bool = False) -> Iterator[RenderableType]:
    """One task and its trajectories, or the `only` one of this id: programs, what was said, what changed."""
    yield Text.assemble((shown(task.task_id), "bold"), (f"  {_asked(task)}", "dim"))
    yield from _text(_prompt(task))
    for file in task.tests if tests else ():
        yield Text(f"\n{shown(file.path)}", style="bold")
        yield from _program(file.content)
    lines = store.trajectory_lines([task.task_id])
    for line in lines:
        if only in ("", line.trajectory_id):
            closed = store.trajectory(line.trajectory_id)
            yield Text.assemble(
                (f"\n{line.origin or 'a trajectory'} ", "bold"),
                (line.status, f"bold {_colour(line.status)}"),
                (f"  {_numbered(line.attempts)}{_by(closed)}  {shown(line.trajectory_id)}", "dim"),
            )
            attempts = closed.attempts if closed is not None else store.attempts(line.trajectory_id)
            yield from _attempts(list(attempts), "draw" if line.origin == "sampling" else "attempt")
    if not lines:
        yield Text("\nno program yet; iterpref debug asks a model", style="dim")
    yield from _pairs(store, task, only)


def _attempts(attempts: list[Attempt], called: str) -> Iterator[RenderableType]:
    for attempt, following in zip(attempts, [*attempts[1:], None], strict=True):
        execution = attempt.execution
        kind = failure_kind(execution, attempt.completion)
        verdict = execution.verdict if kind in ("", execution.verdict) else f"{execution.verdict}, {kind}"
        yield Text.assemble(
            (f"\n{called} {attempt.iteration}: ", "bold"),
            (verdict, f"bold {_colour(execution.verdict)}"),
            (", the reply was cut at max_tokens" if attempt.cut else "", "yellow"),
        )
        yield from _program(attempt.program) if attempt.program else _text(attempt.completion or "(no reply)", "dim")
        said = "" if execution.passed else feedback_text(execution)
        if said:
            sent = ", and the model was told" if attempt.feedback == said else ""
            yield Text(f"\nthe sandbox said{sent}", style="bold")
            yield from _text(said)
        if attempt.feedback and attempt.feedback != said:
            yield Text("\nthe model was told", style="bold")
            yield from _text(attempt.feedback)
        if following is not None and called == "attempt":
            yield from _change(attempt, following)


def _change(before: Attempt, after: Attempt) -> Iterator[RenderableType]:
    yield Text(f"\nchanged for attempt {after.iteration}", style="bold")
    lines = beneath(bounded(before.program)[0], bounded(after.program)[0])
    if not lines:
        yield Text("nothing: the same program again", style="dim")
    for line in lines:
        yield Text(f"{line.sign or ' '} {line.text}", style=_SIGNS.get(line.sign, ""))


def _pairs(store: Store, task: Task, only: str) -> Iterator[RenderableType]:
    ids = [name for name, _ in store.pairs_of_tasks([task.task_id]).get(task.task_id, []) if name.startswith(only)]
    for name in ids:
        pair = store.pair(name)
        if pair is not None:
            dropped = "; ".join(verdict.reason for verdict in pair.filters if not verdict.kept)
            word, style = ("kept", "green") if pair.kept else (f"dropped: {shown(dropped)}", "yellow")
            yield Text.assemble(("\npair ", "bold"), shown(name.rpartition("#")[2] or name), " ", (word, style))


def _program(source: str) -> Iterator[RenderableType]:
    """Source with line numbers and colours; what is wider than the terminal is not cut."""
    text, left = bounded(source)
    coloured = _PYTHON.highlight(text)
    coloured.rstrip()
    for number, line in enumerate(coloured.split("\n", allow_blank=True), start=1):
        yield Text.assemble((f"{number:>4} ", "dim"), line)
    yield from _left(left)


def _text(said: str, style: str = "") -> Iterator[RenderableType]:
    text, left = bounded(said)
    yield Text(text, style=style)
    yield from _left(left)


def _left(count: int) -> Iterable[RenderableType]:
    return [Text(f"… {count:,} more characters; --json has them", style="dim")] if count else []


def _failures(line: TrajectoryLine) -> str:
    return ", ".join(line.failures)


def _asked(task: Task) -> str:
    files = ", ".join(shown(file.path) for file in task.tests)
    calls = f" of {shown(task.entry_point)}" if task.entry_point else ""
    return f"{task.style} tests{calls} in {files}; split {shown(task.split)}"


def _prompt(task: Task) -> str:
    return "\n\n".join(turn.content for turn in as_messages(task.prompt))


def _numbered(count: int) -> str:
    return f"{count} program{'s' * (count != 1)}"


def _by(trajectory: Trajectory | None) -> str:
    return f" by {shown(trajectory.client)}" if trajectory is not None and trajectory.client else ""


def _colour(word: str) -> str:
    return _COLOURS.get(word, "red")
