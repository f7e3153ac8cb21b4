"""The run as a whole: the overview that keeps itself current, its trainings, its results."""

import os
from collections import Counter
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from iterpref.analysis.taxonomy import KINDS, failure_kind
from iterpref.records import Result, Sample
from iterpref.run_folder import DATABASE, RunFolder
from iterpref.store import Store, read_marks
from iterpref.viewer import result_facts, training_facts
from iterpref.viewer.charts import Chart, rates_chart
from iterpref.viewer.funnel import funnel_steps

from .items import missing
from .lists import PageNumber, Pager, Text
from .rendering import Page
from .settings import ViewSettings

_PER_PAGE = 50


def add_runs(app: FastAPI, settings: ViewSettings, page: Page) -> None:
    """`/`, `/training`, `/results` and `/result`."""

    @app.get("/")
    def overview() -> Response:
        return page("overview", live=live_part(settings, page).decode())

    @app.get("/training")
    def training() -> Response:
        with settings.open() as store:
            return page("training", trainings=training_facts.trainings(RunFolder(store.folder)))

    @app.get("/results")
    def results() -> Response:
        with settings.open() as store:
            found = list(store.results())
        return page("results", results=result_facts.scored(found), gains=result_facts.gains(found))

    @app.get("/result")
    def result(
        id: Text, kind: Text = "", q: Text = "", page_: Annotated[PageNumber, Query(alias="page")] = 1
    ) -> Response:
        with settings.open() as store:
            found = store.result(id)
        if found is None:
            raise missing("Result", id)
        return page("result", **_samples(found, kind, q, page_))

    @app.get("/sample")
    def sample(id: Text, task: Text, index: int = 0) -> Response:
        with settings.open() as store:
            found = store.result(id)
        if found is None:
            raise missing("Result", id)
        return page("sample", result=found, sample=sample_of(found, task, index))


def sample_of(result: Result, task_id: str, index: int = 0) -> Sample:
    """One sample of a task; the first, where there is none of this number."""
    of_task = [sample for sample in result.samples if sample.task_id == task_id]
    if not of_task:
        raise missing("Task", task_id)
    return next((sample for sample in of_task if sample.sample_index == index), of_task[0])


def live_part(settings: ViewSettings, page: Page) -> bytes:
    """The part of the overview that changes while the run runs."""
    with settings.open() as store:
        return page.text("live", **_live(store))


def _live(store: Store) -> dict[str, Any]:
    origins = store.origins()
    calls, usd = store.spending()
    costs = store.costs()
    marks = Counter(mark.mark for mark in read_marks(store.folder).values() if mark.mark)
    rates = {found.origin: found.pass_rates for found in origins if found.pass_rates}
    return {
        "origins": origins,
        "funnel": funnel_steps(store, origins),
        "chart": _chart(rates),
        "repaired": store.count_repaired(),
        "open": store.count_unfinished(),
        "costs": costs,
        "usd": usd if calls else None,
        "calls": sum(cost.calls for cost in costs),
        "dead": store.count("dead_letters"),
        "executions": store.count("executions"),
        "results": store.count("results"),
        "trainings": list(RunFolder(store.folder).trainings()),
        "marks": marks,
        "written_at": _written_at(store),
    }


def _chart(rates: dict[str, list[float]]) -> Chart | None:
    if not rates:
        return None
    return rates_chart(rates, "repairs, or further draws" if "sampling" in rates else "repairs")


def _written_at(store: Store) -> float:
    """When the database was last written to, in seconds since 1970."""
    places = (store.folder / DATABASE, store.folder / f"{DATABASE}-wal")
    return max(os.stat(place).st_mtime for place in places if place.exists())


def _samples(result: Result, kind: str, text: str, number: int) -> dict[str, Any]:
    kinds = [failure_kind(sample.execution, sample.completion) or "passed" for sample in result.samples]
    rows = [
        (sample, name)
        for sample, name in zip(result.samples, kinds, strict=True)
        if (not kind or name == kind) and text.strip().lower() in sample.task_id.lower()
    ]
    counted = Counter(kinds)
    start = (number - 1) * _PER_PAGE
    return {
        "result": result,
        "rows": rows[start : start + _PER_PAGE],
        "pager": Pager(number, len(rows)),
        "counts": [(name, counted[name]) for name in ("passed", *KINDS) if counted[name]],
        "query": {"id": result.result_id, "kind": kind, "q": text},
    }
