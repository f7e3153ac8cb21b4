"""One task, one trajectory, one pair: everything that the run knows of it, with links to what came before and after."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Response

from iterpref.records import PreferencePair, Trajectory, as_messages
from iterpref.store import PairFilter, Store, TaskFilter, read_marks
from iterpref.viewer.diffs import sides_of
from iterpref.viewer.run_facts import pairs_source
from iterpref.viewer.steps import feedback_on, trajectory_steps

from .lists import PairQuery, TaskQuery
from .overlay import Overlay, OverlayQuery
from .rendering import Page
from .settings import ViewSettings

Id = Annotated[str, Query(max_length=2000)]


def add_items(app: FastAPI, settings: ViewSettings, page: Page, overlay: Overlay) -> None:
    """`/task`, `/trajectory` and `/pair`."""

    @app.get("/task")
    def task(id: Id, query: Annotated[TaskQuery, Depends()]) -> Response:
        with settings.open() as store:
            return page("task", **_task(store, id, query))

    @app.get("/trajectory")
    def trajectory(id: Id) -> Response:
        with settings.open() as store:
            return page("trajectory", **_trajectory(store, id))

    @app.get("/pair")
    def pair(id: Id, query: Annotated[PairQuery, Depends()], tokens: Annotated[OverlayQuery, Depends()]) -> Response:
        with settings.open() as store:
            facts = _pair(store, id, query)
        return page("pair", **facts, **overlay.facts(facts["pair"], tokens))


def missing(what: str, name: str) -> HTTPException:
    """What was listed a moment ago may be gone: another process works on the run."""
    return HTTPException(404, f"{what} {name[:300]}: not in this run (any more). Its list says what there is now.")


def _task(store: Store, name: str, query: TaskQuery) -> dict[str, Any]:
    found = store.tasks_of([name]).get(name)
    if found is None:
        raise missing("Task", name)
    before, after = store.task_neighbours(query.filter(), name)
    return {
        "task": found,
        "messages": as_messages(found.prompt),
        "lines": store.trajectory_lines([name]),
        "pairs": store.pairs_of_tasks([name]).get(name, []),
        "query": query.given(),
        "before": before,
        "after": after,
    }


def _trajectory(store: Store, name: str) -> dict[str, Any]:
    closed = store.trajectory(name)
    attempts = closed.attempts if closed is not None else tuple(store.attempts(name))
    if not attempts:
        raise missing("Trajectory", name)
    line = store.trajectory_line(name)
    task_id = line.task_id if line is not None else ""
    before, after = store.task_neighbours(TaskFilter(), task_id)
    return {
        "name": name,
        "line": line,
        "closed": closed,
        "task": store.tasks_of([task_id]).get(task_id),
        "made": trajectory_steps(attempts),
        "first_pass": next((a.iteration for a in attempts if a.execution.passed), None),
        "others": [other for other in store.trajectory_lines([task_id]) if other.trajectory_id != name],
        "pairs": [pair for pair in store.pairs_of_tasks([task_id]).get(task_id, []) if pair[0].startswith(f"{name}#")],
        "before": _first_of(store, before, line),
        "after": _first_of(store, after, line),
    }


def _first_of(store: Store, task_id: str | None, like: Any) -> str | None:
    """The trajectory of another task to step to: of the same origin, where there is one."""
    lines = store.trajectory_lines([task_id]) if task_id is not None else []
    same = [line for line in lines if like is not None and line.origin == like.origin]
    return next((line.trajectory_id for line in (*same, *lines)), None)


def _pair(store: Store, name: str, query: PairQuery) -> dict[str, Any]:
    found = store.pair(name)
    if found is None:
        raise missing("Pair", name)
    marks = read_marks(store.folder)
    before, after = store.pair_neighbours(query.filter(marks), name)
    mark = marks.get(name)
    rejected, chosen = sides_of(found.rejected, found.chosen, found.rejected_spans, found.chosen_spans)
    return {
        "pair": found,
        "messages": as_messages(found.prompt),
        "said": _said(store, found),
        "rejected": rejected,
        "chosen": chosen,
        "mark": mark,
        "of_draws": pairs_source(store) == "sampling",
        "outdated": mark is not None and mark.content_hash != found.content_hash,
        "query": query.given(),
        "before": before,
        "after": after,
        "siblings": store.count_listed_pairs(PairFilter(text=found.task_id)),
    }


def _said(store: Store, pair: PreferencePair) -> str:
    """What the tests said of the rejected program."""
    trajectory: Trajectory | None = store.trajectory(pair.trajectory_id) if pair.trajectory_id else None
    attempts = trajectory.attempts if trajectory is not None else ()
    failed = next((a for a in attempts if a.iteration == pair.rejected_iteration), None)
    return feedback_on(failed) if failed is not None else ""
