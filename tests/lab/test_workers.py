"""Jobs on processes: what fails or dies fails alone, and a group's first job comes before the others."""

import os
import signal
from dataclasses import dataclass
from typing import Any

import pytest
from benchmarks.lab.workers import Failure, Group, run_jobs

from iterpref.errors import RecordError


@dataclass(frozen=True)
class Noted:
    """Gives its name and its process, or ends as it is told."""

    name: str
    end: str = ""

    def run(self) -> tuple[str, int]:
        if self.end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.end == "wrong":
            raise RecordError(f"{self.name}: not readable")
        if self.end == "broken":
            raise ZeroDivisionError("by nothing")
        return self.name, os.getpid()


def results_of(groups: list[Group], processes: int = 2) -> dict[str, Any]:
    found: dict[str, Any] = {}
    run_jobs(groups, processes, lambda job, result: found.setdefault(job.name, result))  # type: ignore[attr-defined]
    return found


def test_each_fails_alone_and_a_process_that_died_is_replaced() -> None:
    jobs = [Noted("a"), Noted("b", "wrong"), Noted("c", "killed"), Noted("d", "broken"), *map(Noted, "efgh")]
    found = results_of([Group(None, lambda _: jobs)])
    assert {name: result[0] for name, result in found.items() if not isinstance(result, Failure)} == {
        name: name for name in "aefgh"
    }
    assert found["b"].why == "b: not readable"
    assert found["c"].why == "its process died (SIGKILL); was there not enough memory?"
    assert found["d"].why == "ZeroDivisionError: by nothing" and "raise ZeroDivisionError" in found["d"].details


def test_a_process_runs_many_jobs() -> None:
    found = results_of([Group(None, lambda _: [Noted(name) for name in "abcdef"])], processes=1)
    assert len({process for _, process in found.values()}) == 1


def test_after_some_jobs_a_fresh_process_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.lab.workers.JOBS_PER_PROCESS", 2)
    found = results_of([Group(None, lambda _: [Noted(name) for name in "abcde"])], processes=1)
    assert len(found) == 5 and len({process for _, process in found.values()}) == 3


def test_the_first_job_says_what_else_there_is_to_do() -> None:
    asked = []

    def then(result: Any) -> list[Noted]:
        asked.append(result)
        return [] if isinstance(result, Failure) else [Noted(f"{result[0]}1"), Noted(f"{result[0]}2")]

    found = results_of([Group(Noted("a"), then), Group(Noted("b", "wrong"), then), Group(Noted("c"), then)])
    assert sorted(found) == ["a", "a1", "a2", "b", "c", "c1", "c2"]
    order = list(found)
    assert order.index("a") < order.index("a1") and order.index("c") < order.index("c2")
    assert len(asked) == 3


def test_nothing_to_do() -> None:
    assert results_of([]) == {} and results_of([Group(None, lambda _: [])]) == {}
