"""`--again`: what was answered is asked again and replaced, answer by answer; what was stopped goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoints import Scripted, completion
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Span, Task, TestFile
from iterpref.store import Store

TASKS = [
    Task(task_id=f"t/{i}", prompt=f"Write f(x) {i}.", tests=(TestFile(path="t.py", content="assert f(2) == 3"),),
         style="assert", entry_point="f")
    for i in range(4)
]  # fmt: skip
RIGHT, WRONG = fenced("def f(x):\n    return x + 1"), fenced("def f(x):\n    return x")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "run") as store:
        store.put_tasks(TASKS)
    return tmp_path / "run"


class Model:
    """A server whose model changes under the same name and address."""

    def __init__(self) -> None:
        self.text = WRONG
        self.stops_after = 1 << 30

    def __call__(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.stops_after -= 1
        return (401, {"error": {"message": "gone"}}) if self.stops_after < 0 else (200, completion(self.text))


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def endpoint(model: Model) -> Iterator[Scripted]:
    with Scripted(model) as opened:
        yield opened


def iterpref(endpoint: Scripted, run: Path, verb: str, *more: str) -> str:
    """Run a command; returns what stopped it."""
    part = "evaluation.client" if verb == "evaluate" else "client"
    values = [f"{part}.kind=openai", f"{part}.model=m", f"{part}.base_url={endpoint.url}", f"{part}.concurrency=1",
              "sandbox.workers=1", "debugging.max_iterations=1", "debugging.concurrency=1"]  # fmt: skip
    line = [verb, "--run", str(run), *(x for value in values for x in ("--set", value)), *more]
    done = CliRunner().invoke(app, line)
    assert done.exit_code in (0, 1), done.output
    return str(done.exception or "")


def programs(run: Path) -> set[tuple[str, int]]:
    """(status, attempts) of the trajectories."""
    with Store.open(run, write=False) as store:
        return {(trajectory.status, len(trajectory.attempts)) for trajectory in store.trajectories()}


def test_defect_7_debug_again_replaces_trajectories(run: Path, endpoint: Scripted, model: Model) -> None:
    assert iterpref(endpoint, run, "debug") == ""
    assert (programs(run), endpoint.requests) == ({("unresolved", 2)}, 8)
    model.text = RIGHT
    iterpref(endpoint, run, "debug")
    assert endpoint.requests == 8, "without --again nothing is asked"
    assert iterpref(endpoint, run, "debug", "--again") == ""
    assert (programs(run), endpoint.requests) == ({("passed", 1)}, 12)
    iterpref(endpoint, run, "debug")
    assert endpoint.requests == 12


def test_again_that_was_stopped_goes_on_and_loses_nothing(run: Path, endpoint: Scripted, model: Model) -> None:
    iterpref(endpoint, run, "debug")
    model.text, model.stops_after = RIGHT, 2
    assert "gone" in iterpref(endpoint, run, "debug", "--again")
    assert programs(run) == {("passed", 1), ("unresolved", 2)}, "what was not asked again yet stays"
    model.stops_after = 1 << 30
    asked = endpoint.requests
    iterpref(endpoint, run, "debug", "--again")
    assert (programs(run), endpoint.requests - asked) == ({("passed", 1)}, 2), "nothing is paid a third time"
    iterpref(endpoint, run, "debug", "--again")
    assert endpoint.requests - asked == 2 + 4, "a new --again asks everything"


def test_defect_7_evaluate_again(run: Path, endpoint: Scripted, model: Model, tmp_path: Path) -> None:
    benchmark = tmp_path / "own.jsonl"
    benchmark.write_text("".join(task.model_dump_json() + "\n" for task in TASKS))
    more = ["--set", f"evaluation.benchmark={benchmark}"]
    iterpref(endpoint, run, "evaluate", *more)
    model.text = RIGHT
    iterpref(endpoint, run, "evaluate", *more)
    assert endpoint.requests == 4
    iterpref(endpoint, run, "evaluate", *more, "--again")
    assert endpoint.requests == 8
    with Store.open(run, write=False) as store:
        assert [result.metrics["pass@1"] for result in store.results()] == [1.0], "the one Result is replaced"


def test_defect_7_judge_again(run: Path, endpoint: Scripted, model: Model) -> None:
    spans = {"chosen_spans": (Span(start=0, stop=1),), "rejected_spans": (Span(start=0, stop=1),)}
    pair = PreferencePair(pair_id="p", task_id="t/0", prompt="p", chosen="a = 1", rejected="a = 2", diff="",
                          diff_version=1, render_template="", **spans)  # fmt: skip
    with Store.open(run) as store:
        store.replace_pairs([pair])
    for logical, again in ((True, []), (False, []), (False, ["--again"])):
        model.text = f'{{"logical": {str(logical).lower()}, "reason": "r"}}'
        iterpref(endpoint, run, "judge", *again)
        with Store.open(run, write=False) as store:
            from iterpref.pairing.judge_pairs import judgement_key

            assert store.judgement(judgement_key(pair)) == (not again, "r")
    assert endpoint.requests == 2


def test_refused_requests_of_an_evaluation_are_failing_samples(
    run: Path, endpoint: Scripted, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are asked again by --retry-dead, although there is a Result."""
    benchmark = tmp_path / "own.jsonl"
    benchmark.write_text("".join(task.model_dump_json() + "\n" for task in TASKS))
    more = ["--set", f"evaluation.benchmark={benchmark}"]
    works, model.text = False, RIGHT
    answer = model.__class__.__call__

    def picky(self: Model, body: dict[str, Any]) -> tuple[int, Any]:
        refused = "f(x) 2" in body["messages"][0]["content"] and not works
        return (400, {"error": {"message": "too long"}}) if refused else answer(self, body)

    monkeypatch.setattr(Model, "__call__", picky)

    def score() -> list[float]:
        with Store.open(run, write=False) as store:
            return [result.metrics["pass@1"] for result in store.results()]

    assert iterpref(endpoint, run, "evaluate", *more) == ""
    assert (score(), endpoint.requests) == ([0.75], 4)
    iterpref(endpoint, run, "evaluate", *more)
    assert (score(), endpoint.requests) == ([0.75], 4)
    works = True
    iterpref(endpoint, run, "evaluate", *more, "--retry-dead")
    assert (score(), endpoint.requests) == ([1.0], 5)


def test_again_is_not_for_a_shard(run: Path, endpoint: Scripted) -> None:
    assert "leave --shard out" in iterpref(endpoint, run, "debug", "--again", "--shard", "1/2")
