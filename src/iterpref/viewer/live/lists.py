"""The lists: tasks and pairs, searched, filtered, a page at a time. What is asked for stands in the address."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Response

from iterpref.records import ReviewMark
from iterpref.store import PAGE, UNDER_WAY, UNTRIED, PairFilter, Store, TaskFilter, read_marks

from .rendering import Page
from .settings import ViewSettings

STATUSES = ("passed", "unresolved", "failed_tools", UNDER_WAY, UNTRIED)
ORIGINS = ("debugging", "sampling", "import")
MARKS = ("accept", "reject", "noted", "unmarked")
_MOST_ATTEMPTS = 10
PageNumber = Annotated[int, Query(ge=1, le=10**7)]
Text = Annotated[str, Query(max_length=500)]


@dataclass(frozen=True)
class Pager:
    """Which page of how many; `total` counts rows."""

    number: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE))

    @property
    def first_row(self) -> int:
        return min((self.number - 1) * PAGE + 1, self.total)

    @property
    def last_row(self) -> int:
        return min(self.number * PAGE, self.total)


@dataclass(frozen=True)
class TaskQuery:
    """The part of an address that says which tasks."""

    q: Text = ""
    status: Text = ""
    origin: Text = ""
    failure: Text = ""
    attempts: str = ""

    def filter(self) -> TaskFilter:
        number = int(self.attempts) if self.attempts.isascii() and self.attempts.isdigit() else 0
        made = number if 1 <= number <= 10**6 else None
        return TaskFilter(self.q.strip(), self.status, self.origin, self.failure, made)

    def given(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PairQuery:
    """The part of an address that says which pairs."""

    q: Text = ""
    kept: Text = ""
    failure: Text = ""
    mark: Text = ""

    def filter(self, marks: dict[str, ReviewMark]) -> PairFilter:
        kept = {"kept": True, "dropped": False}.get(self.kept)
        marked = tuple(name for name, mark in marks.items() if mark.mark)
        only: tuple[str, ...] | None = None
        if self.mark in ("accept", "reject"):
            only = tuple(name for name, mark in marks.items() if mark.mark == self.mark)
        elif self.mark == "noted":
            only = tuple(name for name, mark in marks.items() if mark.note)
        without = marked if self.mark == "unmarked" else ()
        return PairFilter(self.q.strip(), kept, self.failure, only, without)

    def given(self) -> dict[str, Any]:
        return asdict(self)


def add_lists(app: FastAPI, settings: ViewSettings, page: Page) -> None:
    """`/tasks` and `/pairs`."""

    @app.get("/tasks")
    def tasks(
        query: Annotated[TaskQuery, Depends()], page_: Annotated[PageNumber, Query(alias="page")] = 1
    ) -> Response:
        with settings.open() as store:
            return page("tasks", **_tasks(store, query, page_))

    @app.get("/pairs")
    def pairs(
        query: Annotated[PairQuery, Depends()], page_: Annotated[PageNumber, Query(alias="page")] = 1
    ) -> Response:
        with settings.open() as store:
            return page("pairs", **_pairs(store, query, page_))


def _total(number: int, on_page: int, count: Callable[[], int]) -> int:
    """All rows of a list; they are counted only where the page at hand doesn't tell."""
    if on_page < PAGE and (on_page or number == 1):
        return (number - 1) * PAGE + on_page
    return count()


def _tasks(store: Store, query: TaskQuery, number: int) -> dict[str, Any]:
    wanted = query.filter()
    ids, total = store.task_page_and_count(wanted, number - 1)
    lines: dict[str, list[Any]] = {}
    for line in store.trajectory_lines(ids):
        lines.setdefault(line.task_id, []).append(line)
    return {
        "query": query.given(),
        "pager": Pager(number, total),
        "ids": ids,
        "tasks": store.tasks_of(ids),
        "lines": lines,
        "pairs": store.pairs_of_tasks(ids),
        "choices": {
            "status": STATUSES,
            "origin": ORIGINS,
            "failure": store.trajectory_failures(),
            "attempts": [str(n) for n in range(1, _MOST_ATTEMPTS + 1)],
        },
    }


def _pairs(store: Store, query: PairQuery, number: int) -> dict[str, Any]:
    marks = read_marks(store.folder)
    wanted = query.filter(marks)
    found = store.pair_page(wanted, number - 1)
    return {
        "query": query.given(),
        "pager": Pager(number, _total(number, len(found), lambda: store.count_listed_pairs(wanted))),
        "pairs": found,
        "marks": marks,
        "choices": {"kept": ("kept", "dropped"), "failure": store.pair_failures(), "mark": MARKS},
    }
