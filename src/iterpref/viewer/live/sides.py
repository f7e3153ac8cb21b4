"""Two models, two runs or two attempts side by side: what one won and lost, and both programs of a task."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Response

from iterpref.analysis import compare
from iterpref.errors import RecordError
from iterpref.records import Attempt, Result
from iterpref.viewer.sides import SideProgram, two_sides

from .items import Id, missing
from .lists import PageNumber, Pager, Text
from .rendering import Page, link
from .runs import sample_of
from .settings import ViewSettings

_PER_PAGE = 50
Outcome = Literal["won", "lost", "both", "neither"]


@dataclass(frozen=True)
class Entry:
    """A Result that can be compared: `key` stands in addresses, as `place of the run:id`."""

    key: str
    label: str
    result: Result


def add_sides(app: FastAPI, settings: ViewSettings, page: Page) -> None:
    """`/compare` of Results, `/runs` of debugging, `/attempts` of one trajectory."""

    @app.get("/compare")
    def compare_models(first: Text = "", second: Text = "") -> Response:
        entries = _entries(settings)
        one, other = _chosen(entries, first, second)
        found, why = None, ""
        if one is not None and other is not None:
            try:
                found = compare(one.result, other.result)
            except RecordError as error:
                why = str(error)
        return page("compare", entries=entries, first=one, second=other, found=found, why=why)

    @app.get("/compare/task")
    def compare_task(first: Text, second: Text, task: Id) -> Response:
        entries = {entry.key: entry for entry in _entries(settings)}
        chosen = [entries.get(key) for key in (first, second)]
        if None in chosen:
            raise missing("Result", first if chosen[0] is None else second)
        one, other = (_of_result(entry, task) for entry in chosen if entry)
        back = link("/compare", first=first, second=second)
        return page("two", title=task, back=back, back_name="the comparison", sides=two_sides(one, other))

    @app.get("/runs")
    def compare_runs(
        other: int = 1, origin: Text = "debugging", outcome: Outcome = "won",
        page_: Annotated[PageNumber, Query(alias="page")] = 1,
    ) -> Response:  # fmt: skip
        return page("runs", **_runs(settings, other, origin, outcome, page_))

    @app.get("/runs/task")
    def compare_runs_task(task: Id, other: int = 1, origin: Text = "debugging") -> Response:
        sides = two_sides(*(_last_of(settings, place, task, origin) for place in (0, other)))
        back = link("/runs", other=other, origin=origin)
        return page("two", title=task, back=back, back_name="the two runs", sides=sides)

    @app.get("/attempts")
    def compare_attempts(id: Id, first: int, second: int) -> Response:
        with settings.open() as store:
            attempts = {attempt.iteration: attempt for attempt in store.attempts(id)}
        if first not in attempts or second not in attempts:
            raise missing("Attempt", f"{first} or {second} of {id}")
        sides = two_sides(*(_attempt(id, attempts[number]) for number in (first, second)))
        back = link("/trajectory", id=id)
        return page("two", title=id, back=back, back_name="the trajectory", sides=sides)


def _entries(settings: ViewSettings) -> list[Entry]:
    found = []
    for place, run in enumerate(settings.names()):
        with settings.open(place) as store:
            for result in store.results():
                label = f"{run}: {result.model} on {result.benchmark} ({result.result_id[:6]})"
                found.append(Entry(f"{place}:{result.result_id}", label, result))
    return found


def _chosen(entries: list[Entry], first: str, second: str) -> tuple[Entry | None, Entry | None]:
    """Those asked for; else the first, and the last on the same benchmark."""
    by_key = {entry.key: entry for entry in entries}
    one = by_key.get(first) or (entries[0] if entries else None)
    same = [entry for entry in entries if one and entry.result.benchmark == one.result.benchmark and entry is not one]
    return one, by_key.get(second) or (same[-1] if same else None)


def _of_result(entry: Entry, task: str) -> SideProgram:
    """Results of other runs have no pages here."""
    sample = sample_of(entry.result, task)
    address = link("/sample", id=entry.result.result_id, task=task) if entry.key.startswith("0:") else ""
    return SideProgram(entry.label, sample.program, sample.execution, address)


def _attempt(trajectory_id: str, attempt: Attempt) -> SideProgram:
    address = f"{link('/trajectory', id=trajectory_id)}#a{attempt.iteration}"
    return SideProgram(f"attempt {attempt.iteration}", attempt.program, attempt.execution, address)


def _last_of(settings: ViewSettings, place: int, task: str, origin: str) -> SideProgram:
    """The program that a run's trajectory of a task ended with."""
    name = settings.names()[place] if 0 <= place <= len(settings.beside) else ""
    with settings.open(place) as store:
        lines = [line for line in store.trajectory_lines([task]) if line.origin == origin]
        passed = [line for line in lines if line.status == "passed"]
        if not lines:
            raise missing(f"Trajectory of {origin} in {name} of task", task)
        line = (passed or lines)[0]
        last = store.attempts(line.trajectory_id)[-1]
    address = "" if place else link("/trajectory", id=line.trajectory_id)
    return SideProgram(f"{name}: after {line.attempts} attempts", last.program, last.execution, address)


def _runs(settings: ViewSettings, other: int, origin: str, outcome: Outcome, number: int) -> dict[str, Any]:
    solved = []
    for place in (0, other):
        with settings.open(place) as store:
            solved.append(store.solved_tasks(origin))
    here, there = solved
    shared = [task for task in here if task in there]
    groups: dict[str, list[str]] = {name: [] for name in ("won", "lost", "both", "neither")}
    for task in shared:
        names = {(False, True): "won", (True, False): "lost", (True, True): "both", (False, False): "neither"}
        groups[names[here[task], there[task]]].append(task)
    start = (number - 1) * _PER_PAGE
    return {
        "names": settings.names(),
        "other": other,
        "origin": origin,
        "outcome": outcome,
        "counts": {name: len(tasks) for name, tasks in groups.items()},
        "tried": (len(here), len(there), len(shared)),
        "solved": (sum(here[task] for task in shared), sum(there[task] for task in shared)),
        "tasks": groups[outcome][start : start + _PER_PAGE],
        "pager": Pager(number, len(groups[outcome])),
    }
