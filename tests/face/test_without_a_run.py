"""The face for one's own model and one's own files: debugging with a function, pairs of a trajectory, scored files."""

import json
import threading
from pathlib import Path

import pytest

from iterpref import (
    PreferencePair,
    Task,
    TestFile,
    Trajectory,
    compare,
    debug_with,
    focal_dataset,
    focal_pairs,
    open_run,
    pipeline,
    score_samples,
)
from iterpref.errors import ClientError, ConfigError, RecordError, StoreError
from iterpref.programs import fenced

WRONG, WORSE, RIGHT = "def f(x):\n    return x + 1", "def f(x):\n    return [x][2]", "def f(x):\n    return x * 2"
TESTS = "assert f(1) == 2\nassert f(3) == 6"


def task(name: str = "double", tests: str = TESTS, **more: str) -> Task:
    files = (TestFile(path="test.py", content=tests),)
    return Task(task_id=name, prompt=f"{name}: write f.", tests=files, style="assert", entry_point="f", **more)


class Replies:
    """Versions of a program, in their order for each task; remembers what it was asked."""

    def __init__(self, *programs: str) -> None:
        self.programs, self.asked = programs, list[list[dict[str, str]]]()

    def __call__(self, messages: list[dict[str, str]]) -> str:
        before = sum(asked[0] == messages[0] for asked in self.asked)
        self.asked.append(messages)
        return fenced(self.programs[before % len(self.programs)])


def repaired(*programs: str, of: Task | None = None) -> Trajectory:
    [found] = debug_with(Replies(*programs), [of or task()])
    return found


def test_a_function_is_shown_what_failed_until_it_passes() -> None:
    replies = Replies(WRONG, WORSE, RIGHT)
    [found] = debug_with(replies, [task()])
    assert [attempt.program for attempt in found.attempts] == [WRONG, WORSE, RIGHT]
    assert (found.status, found.client) == ("passed", "function")
    assert [turn["role"] for turn in replies.asked[2]] == ["user", "assistant", "user"]
    assert "IndexError: list index out of range" in replies.asked[2][-1]["content"]


def test_what_never_passes_is_unresolved_after_so_many_repairs() -> None:
    [found] = debug_with(lambda messages: fenced(WRONG), [task()], max_iterations=2)
    assert (found.status, len(found.attempts)) == ("unresolved", 3)
    assert debug_with(lambda messages: "", []) == []


def test_trajectories_come_in_the_order_of_the_tasks_from_several_threads() -> None:
    threads: set[str] = set()
    together = threading.Barrier(3, timeout=60)

    def answer(messages: list[dict[str, str]]) -> str:
        threads.add(threading.current_thread().name)
        if len(messages) == 1:
            together.wait()  # breaks unless three are asked at once
        return fenced(RIGHT)

    found = debug_with(answer, [task(name) for name in "abc"], at_a_time=3)
    assert [trajectory.task_id for trajectory in found] == ["a", "b", "c"]
    assert len(threads) == 3


def test_one_at_a_time_is_never_two() -> None:
    busy = threading.Lock()

    def answer(messages: list[dict[str, str]]) -> str:
        assert busy.acquire(blocking=False)
        with_right = fenced(RIGHT)
        busy.release()
        return with_right

    assert len(debug_with(answer, [task(str(number)) for number in range(6)])) == 6


def test_a_run_keeps_it_and_is_not_asked_twice(tmp_path: Path) -> None:
    replies = Replies(WRONG, RIGHT)
    for asked in (2, 2):
        with open_run(tmp_path / "run", {"pairing": {"negatives": "each"}}) as run:
            debug_with(replies, [task()], run, name="mine")
        assert len(replies.asked) == asked
    with open_run(tmp_path / "run") as run:
        assert run.config.pairing.negatives == "each", "a run keeps the settings it was made with"
        debug_with(replies, run.store.tasks(), run, name="another")
        assert len(replies.asked) == 4
        assert pipeline.pair(run).kept == 1  # of two equal ones
    with open_run(tmp_path / "run", write=False) as run:
        assert sorted(found.client for found in run.store.trajectories()) == ["another", "mine"]


def test_killed_between_two_tasks_it_goes_on(tmp_path: Path) -> None:
    replies = Replies(RIGHT)

    def stops(messages: list[dict[str, str]]) -> str:
        if "second" in messages[0]["content"]:
            raise TimeoutError("the endpoint is away")
        return replies(messages)

    tasks = [task("first"), task("second")]
    with open_run(tmp_path / "run") as run, pytest.raises(TimeoutError, match="away"):
        debug_with(stops, tasks, run, name="m")
    with open_run(tmp_path / "run") as run:
        found = debug_with(replies, tasks, run, name="m")
    assert [trajectory.status for trajectory in found] == ["passed", "passed"]
    assert [messages[0]["content"][:5] for messages in replies.asked] == ["first", "secon"]


BAD = {
    "no text": (lambda: debug_with(lambda messages: None, [task()]), ClientError, "returned NoneType"),
    "syntax": (lambda: debug_with(str, [task(tests="assert f(1) ==")]), RecordError, "can't be used"),
    "reference": (lambda: debug_with(str, [task(reference=WRONG)]), RecordError, "its reference does not pass"),
    "one id": (lambda: debug_with(str, [task(), task(tests="assert f(2)")]), StoreError, "frozen"),
    "none at a time": (lambda: debug_with(str, [task()], at_a_time=0), ConfigError, "expected at least 0 and 1"),
    "negatives": (
        lambda: focal_pairs(task(), repaired(WRONG, RIGHT), negatives="all"),
        ConfigError,
        "focal_pairs: pairing.negatives: expected one of random, first, last, each, got 'all'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    make, error, said = BAD[case]
    with pytest.raises(error, match=said):
        make()


def test_a_run_wants_the_name_of_what_answers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name="), open_run(tmp_path / "run") as run:
        debug_with(str, [task()], run)
    assert not (tmp_path / "run").exists(), "nothing came of it"


def test_pairs_of_one_trajectory() -> None:
    found = repaired(WRONG, WORSE, RIGHT)
    pairs = focal_pairs(task(), found, negatives="each")
    made_of = [(pair.rejected_iteration, pair.chosen_iteration, pair.kept) for pair in pairs]
    assert made_of == [(0, 2, True), (1, 2, True)]
    first = pairs[0]
    assert [first.rejected[span.start : span.stop] for span in first.rejected_spans] == ["    return x + 1\n"]
    assert [first.chosen[span.start : span.stop] for span in first.chosen_spans] == ["    return x * 2\n"]
    assert focal_pairs(task(), repaired(RIGHT)) == []


def test_a_dataset_of_records_holds_the_kept_ones() -> None:
    inserted = focal_pairs(task(), repaired("def f(x):\n    x = 2 * x", "def f(x):\n    x = 2 * x\n    return x"))
    assert [verdict.name for verdict in inserted[0].filters if not verdict.kept] == ["wrong_lines"]
    kept = focal_pairs(task(), repaired(WRONG, RIGHT), prompt_format="text")
    asked = focal_pairs(task("other"), repaired(WORSE, RIGHT, of=task("other")))
    dataset = focal_dataset([*kept, *inserted, *asked])
    assert len(dataset) == 2
    assert dataset[0]["prompt"] == [{"role": "user", "content": "double: write f."}], "one form of prompt in a dataset"
    assert dataset[1]["error_type"] == "IndexError"
    assert isinstance(focal_dataset(kept)[0]["prompt"], str)
    for nothing in ([], inserted):
        with pytest.raises(RecordError, match="no pair is kept"):
            focal_dataset(nothing)


def test_the_records_can_be_read_back() -> None:
    [pair] = focal_pairs(task(), repaired(WRONG, RIGHT))
    assert PreferencePair.model_validate_json(pair.model_dump_json()) == pair


def test_two_files_of_samples_are_compared(tmp_path: Path) -> None:
    tasks = [task(str(number)) for number in range(4)]
    for name, programs in {"a": [WRONG, WRONG, RIGHT, WORSE], "b": [RIGHT, RIGHT, RIGHT, WORSE]}.items():
        rows = [{"task_id": str(number), "solution": program} for number, program in enumerate(programs)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tasks.jsonl").write_text("".join(f"{each.model_dump_json()}\n" for each in tasks))
    before = score_samples(tmp_path / "a.jsonl", tasks)
    again = score_samples(tmp_path / "a.jsonl", tasks)
    assert (before.benchmark, before.metrics["pass@1"]) == ("tasks", 0.25)
    assert again.result_id == before.result_id
    found = compare(before, score_samples(tmp_path / "b.jsonl", tasks))
    assert (found.difference, found.won, found.lost) == (0.5, ("0", "1"), ())
    assert found.low <= found.difference <= found.high
    of_file = score_samples(str(tmp_path / "a.jsonl"), tmp_path / "tasks.jsonl")
    assert of_file.metrics == before.metrics
    with pytest.raises(ConfigError, match=r"evaluation\.k is \[2\]"):
        score_samples(tmp_path / "a.jsonl", tasks, k=[2])
    with pytest.raises(RecordError, match="task 3 is not in the benchmark"):
        score_samples(tmp_path / "a.jsonl", tasks[:3])


def test_settings_of_a_run_opened_from_python(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", {"seed": 3, "client": {"kind": "replay", "model": "r.jsonl"}}) as run:
        run.store.put_tasks([task()])
    with open_run(tmp_path / "run", {"client": {"kind": "local"}, "training": {"beta": 0.2}}) as run:
        assert (run.config.seed, run.config.client.kind, run.config.training) == (3, "local", {"beta": 0.2})
    with open_run(tmp_path / "run") as run:
        assert (run.config.client.kind, run.config.training) == ("replay", {}), "they hold while it is open"
    with pytest.raises(ConfigError, match=r"unknown key pairing.negative; did you mean pairing.negatives\?"):
        open_run(tmp_path / "run", {"pairing": {"negative": "each"}}).__enter__()
    with pytest.raises(StoreError, match="no run here"):
        open_run(tmp_path / "absent", write=False).__enter__()
    assert not (tmp_path / "absent").exists()
