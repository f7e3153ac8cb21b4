"""Recorded runs: our own few, executed in the real sandbox."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.config import PairingConfig
from iterpref.errors import RecordError
from iterpref.exporting import export_trajectories
from iterpref.importing import import_recorded
from iterpref.pairing.pair import make_pairs
from iterpref.records import Execution, Limits
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store

WriteRows = Callable[..., Path]

PROMPT = 'def smallest(xs: List[int]) -> int:\n    """The smallest number, or -1 of an empty list."""\n'
CHECK = (
    "def check(candidate):\n    assert candidate([3, 1, 2]) == 1\n    assert candidate([]) == -1\n\ncheck(smallest)\n"
)
WRONG = "def smallest(xs: List[int]) -> int:\n    return max(xs)\n"
RAISES = "def smallest(xs: List[int]) -> int:\n    return min(xs)\n"
RIGHT = "def smallest(xs: List[int]) -> int:\n    return min(xs, default=-1)\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


class Counting:
    """A sandbox that remembers what it was asked to run."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.programs: list[str] = []

    def run_many(self, jobs: Iterable[Job]) -> Iterator[Execution]:
        jobs = list(jobs)
        self.programs += [job.program for job in jobs]
        return self.sandbox.run_many(jobs)


def run(*versions: tuple[str, str], **fields: Any) -> dict[str, Any]:
    """A recorded run; a version is (program, recorded status)."""
    return {
        "id": "run-1", "task_id": "Own/1", "entry_point": "smallest", "prompt": PROMPT, "test": CHECK,
        "benchmark": "Own", "license": "MIT", "model": "someone",
        "versions": [
            {"step": step, "code": code, "feedback": f"step {step} said" if step + 1 < len(versions) else None,
             "verified": {"passed": status == "pass", "status": status, "error_type": None, "error_msg": None}}
            for step, (code, status) in enumerate(versions)
        ],
    } | fields  # fmt: skip


def test_every_version_becomes_an_attempt(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    path = write_rows(run((WRONG, "fail"), (RAISES, "fail"), (RIGHT, "pass")))
    summary = import_recorded(path, store, sandbox)
    assert (summary.versions, summary.agree, summary.trajectories, summary.pairs) == (3, 3, 1, 2)
    (trajectory,) = store.trajectories("import")
    assert (trajectory.trajectory_id, trajectory.client, trajectory.status) == ("run-1", "someone", "passed")
    assert [attempt.program for attempt in trajectory.attempts] == [WRONG, RAISES, RIGHT]
    assert [attempt.feedback for attempt in trajectory.attempts] == ["step 0 said", "step 1 said", None]
    assert [attempt.execution.verdict for attempt in trajectory.attempts] == ["failed", "error", "passed"]
    assert trajectory.attempts[1].execution.error_type == "ValueError"
    task = store.task("Own/1")
    assert (task.prompt, task.style, task.license, task.limits.cpu_s) == (PROMPT, "check", "MIT", 4.0)
    assert store.note("import:rows.jsonl")["agree"] == 3


def test_pairing_takes_the_first_passing_version(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    """Recorded runs may go on after a pass: what follows is kept, and makes no pair."""
    path = write_rows(run((WRONG, "fail"), (RIGHT, "pass"), (RAISES, "fail"), (RIGHT, "pass")))
    summary = import_recorded(path, store, sandbox)
    assert summary.pairs == 1
    (trajectory,) = store.trajectories()
    assert len(trajectory.attempts) == 4
    (made,) = make_pairs(store, PairingConfig(negatives="each"))
    assert (made.rejected_iteration, made.chosen_iteration, made.origin, made.kept) == (0, 1, "import", True)
    assert made.rejected == f"```python\n{WRONG}```"


def test_a_recording_may_say_that_a_version_was_cut(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    row = run((WRONG, "fail"), (RAISES, "fail"), (RIGHT, "pass"))
    row["versions"][0]["cut"] = True
    import_recorded(write_rows(row), store, sandbox)
    assert [attempt.cut for attempt in store.attempts("run-1")] == [True, False, False]
    kept = {pair.rejected_iteration: pair.kept for pair in make_pairs(store, PairingConfig(negatives="each"))}
    assert kept == {0: False, 1: True}


def test_a_wrong_recorded_verdict_is_listed_with_its_cause(
    store: Store, sandbox: Sandbox, write_rows: WriteRows
) -> None:
    path = write_rows(run((RIGHT, "fail"), (RAISES, "pass"), (WRONG, "timeout")))
    summary = import_recorded(path, store, sandbox)
    assert (summary.versions, summary.agree, summary.pairs) == (3, 0, 0)
    assert [(d.trajectory_id, d.step, d.recorded, d.here) for d in summary.disagreements] == [
        ("run-1", 0, "fail", "pass"),
        ("run-1", 1, "pass", "fail"),
        ("run-1", 2, "timeout", "fail"),
    ]
    assert summary.disagreements[0].why == "recorded fail, here passed"
    assert summary.disagreements[1].why.startswith("recorded pass, here error in smallest([]): ValueError: min()")
    (trajectory,) = store.trajectories()
    assert trajectory.attempts[0].execution.passed  # what counts is what happened here


@pytest.mark.parametrize(
    ("body", "status", "verdict"),
    [
        pytest.param("while True:\n        pass", "timeout", "timeout", id="endless"),
        pytest.param("while True:\n        xs = [*xs, *xs, len(xs)]", "killed", "out_of_memory", id="in leaps"),
        pytest.param("while True:\n        xs.append(len(xs))", "killed", "out_of_memory", id="bit by bit"),
    ],
)
def test_limits(store: Store, sandbox: Sandbox, write_rows: WriteRows, body: str, status: str, verdict: str) -> None:
    row = run((f"def smallest(xs):\n    {body}\n", status))
    summary = import_recorded(write_rows(row), store, sandbox, Limits(cpu_s=2, memory_bytes=64 << 20))
    assert (summary.agree, summary.pairs, summary.disagreements) == (1, 0, ())
    (trajectory,) = store.trajectories()
    assert (trajectory.status, trajectory.attempts[0].execution.verdict) == ("unresolved", verdict)


@pytest.mark.parametrize(
    ("program", "test", "prompt"),
    [
        pytest.param("def f(xs: List[int]) -> Optional[int]:\n    return next(iter(Counter(xs)), None)",
                     "assert f([4, 4]) == 4", "def f(xs):\n", id="typing and collections"),
        pytest.param("def f(n):\n    return len(list(combinations(range(n), 2))) + math.gcd(n, 2)",
                     "assert f(4) == 8", "Count.", id="itertools and math"),
        pytest.param("def f(s):\n    return heapq.heappop([1]) + len(re.findall('a', s))",
                     "assert f('aa') == 3", "Count.", id="heapq and re"),
        pytest.param("def decode(s):\n    return s[::-1]",
                     "def check(candidate):\n    assert candidate(encode('ab')) == 'ab'\n\ncheck(decode)",
                     "def encode(s):\n    return s[::-1]\n\n\ndef decode(s):\n    '''Undo encode.'''\n",
                     id="a helper of the prompt that the tests call"),
    ],
)  # fmt: skip
def test_programs_find_what_their_benchmark_provides(
    store: Store, sandbox: Sandbox, write_rows: WriteRows, program: str, test: str, prompt: str
) -> None:
    entry_point = "decode" if "decode" in program else "f"
    path = write_rows(run((program, "pass"), test=test, prompt=prompt, entry_point=entry_point))
    summary = import_recorded(path, store, sandbox)
    assert summary.disagreements == ()


def test_one_benchmark_task_with_different_prompts(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    path = write_rows(
        run((RIGHT, "pass"), id="a"),
        run((RIGHT, "pass"), id="b", prompt="Find the smallest number."),
        run((RAISES, "pass"), id="c", test="assert smallest([2]) == 2"),
        run((WRONG, "fail"), id="d"),
    )
    import_recorded(path, store, sandbox)
    tasks = {trajectory.trajectory_id: trajectory.task_id for trajectory in store.trajectories()}
    assert tasks["a"] == tasks["d"] == "Own/1"
    assert tasks["b"].startswith("Own/1~") and tasks["c"].startswith("Own/1~") and tasks["b"] != tasks["c"]
    assert store.task(tasks["b"]).prompt == "Find the smallest number."
    assert store.count("tasks") == 3


def test_rows_without_id_model_or_feedback(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    row = run((WRONG, "fail"), (RIGHT, "pass"))
    for name in ("id", "model", "benchmark", "license"):
        del row[name]
    for version in row["versions"]:
        del version["feedback"]
    assert import_recorded(write_rows(row), store, sandbox).agree == 2
    (trajectory,) = store.trajectories()
    assert trajectory.trajectory_id.startswith("Own/1:import:")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param('{"id": "x"', r"rows.jsonl:2: not valid JSON \(Expecting ',' delimiter, column 11\)", id="JSON"),
        pytest.param(run((RIGHT, "pass"), id="x", test=None), r"rows.jsonl:2 \(x\): test is null; expected a "
                     r"text", id="null"),
        pytest.param(run((RIGHT, "pass"), id="x", test=" "), r"rows.jsonl:2 \(x\): task Own/1: no tests",
                     id="no tests"),
        pytest.param(run(id="x"), r"\(x\): versions: List should have at least 1 item", id="no versions"),
        pytest.param(run((RIGHT, "pass"), id="x", versions=[{"step": 0, "code": RIGHT}]),
                     r"\(x\): versions\.0\.verified is missing", id="no verdict"),
        pytest.param(run((RIGHT, "won"), id="x"), r"verified\.status is 'won'; expected pass, fail", id="status"),
        pytest.param({"id": "x", "task_id": "T"}, r"\(x\): prompt is missing \(and 2 more\)", id="fields"),
        pytest.param(run((RIGHT, "pass")), "rows.jsonl:2: id run-1 is that of rows.jsonl:1; give each run its own",
                     id="id twice"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_the_others_kept(
    store: Store, sandbox: Sandbox, write_rows: WriteRows, row: dict[str, Any] | str, message: str
) -> None:
    path = write_rows(run((RIGHT, "pass")), row, run((RAISES, "fail"), id="run-3"))
    with pytest.raises(RecordError, match=message) as caught:
        import_recorded(path, store, sandbox)
    assert "The other rows are imported (2 trajectories)" in str(caught.value)
    assert [t.trajectory_id for t in store.trajectories()] == ["run-1", "run-3"]


def test_steps_out_of_order(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    row = run((WRONG, "fail"), (RIGHT, "pass"))
    row["versions"].reverse()
    with pytest.raises(RecordError, match=r"the steps of the versions are \[1, 0\]; expected them ascending"):
        import_recorded(write_rows(row), store, sandbox)


def test_verdict_that_contradicts_itself(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    row = run((RIGHT, "pass"))
    row["versions"][0]["verified"]["passed"] = False
    with pytest.raises(RecordError, match=r"versions\.0\.verified: passed is false, but status is pass"):
        import_recorded(write_rows(row), store, sandbox)


def test_an_id_never_changes_its_content(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    import_recorded(write_rows(run((WRONG, "fail"))), store, sandbox)
    with pytest.raises(RecordError, match=r"trajectory run-1 is in .* with other content; import this file into"):
        import_recorded(write_rows(run((RIGHT, "pass")), name="other.jsonl"), store, sandbox)
    (trajectory,) = store.trajectories()
    assert trajectory.attempts[0].program == WRONG


def test_missing_file(store: Store, sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"absent\.jsonl: can't read this file \(No such file or directory\)"):
        import_recorded(tmp_path / "absent.jsonl", store, sandbox)


def test_progress(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    seen: list[tuple[int, int]] = []
    path = write_rows(*(run((RIGHT, "pass"), id=f"run-{number}") for number in range(70)))
    import_recorded(path, store, sandbox, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(64, 70), (70, 70)]


def test_our_export_comes_back_equal(store: Store, sandbox: Sandbox, write_rows: WriteRows, tmp_path: Path) -> None:
    rows = [
        run((WRONG, "fail"), (RIGHT, "pass"), id="a"),
        run((RAISES, "fail"), id="b", prompt="Say \u2028 it."),
    ]
    import_recorded(write_rows(*rows), store, sandbox)
    assert export_trajectories(store, tmp_path / "out.jsonl") == 2
    with Store.open(tmp_path / "second") as second:
        summary = import_recorded(tmp_path / "out.jsonl", second, sandbox)
        assert (summary.versions, summary.agree, summary.trajectories, summary.pairs) == (3, 3, 2, 1)
        assert list(second.tasks()) == list(store.tasks())
        for ours, theirs in zip(second.trajectories(), store.trajectories(), strict=True):
            fields = {"attempts": {"__all__": {"execution"}}}
            assert ours.model_dump(exclude=fields) == theirs.model_dump(exclude=fields)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        pytest.param("trajectory", {"task_id": "Own/2"}, "the trajectory is of task Own/2, but the task is Own/1",
                     id="of another task"),
        pytest.param("trajectory", {"attempts": []}, "trajectory run-1 has no attempts", id="no attempts"),
        pytest.param("task", {"program_path": "../outside.py"}, r"path '\.\./outside\.py' must be relative", id="path"),
        pytest.param("task", {"tests": []}, "task Own/1: no tests", id="no tests"),
    ],
)  # fmt: skip
def test_an_export_that_is_not_one(
    store: Store,
    sandbox: Sandbox,
    write_rows: WriteRows,
    tmp_path: Path,
    part: str,
    changes: dict[str, Any],
    message: str,
) -> None:
    import_recorded(write_rows(run((RIGHT, "pass"))), store, sandbox)
    export_trajectories(store, tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    row[part] |= changes
    with Store.open(tmp_path / "second") as second, pytest.raises(RecordError, match=message):
        import_recorded(write_rows(row), second, sandbox)


def test_importing_again_executes_nothing(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    path = write_rows(run((WRONG, "fail"), (RIGHT, "pass")))
    first = import_recorded(path, store, sandbox)
    before = list(store.trajectories())
    counting = Counting(sandbox)
    assert import_recorded(path, store, counting) == first
    assert counting.programs == []
    assert list(store.trajectories()) == before


def test_a_broken_tool_is_no_verdict(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    """What the sandbox could not execute is not stored: neither as a failure nor as a finished execution."""

    class BrokenOnce(Counting):
        def run_many(self, jobs: Iterable[Job]) -> Iterator[Execution]:
            for execution, program in zip(super().run_many(jobs), list(self.programs), strict=False):
                broken = {"verdict": "sandbox_error", "error": "the worker is gone"}
                yield execution.model_copy(update=broken) if program == RAISES else execution

    path = write_rows(run((WRONG, "fail"), (RAISES, "fail")), run((RIGHT, "pass"), id="run-2"))
    broken = BrokenOnce(sandbox)
    summary = import_recorded(path, store, broken)
    assert (summary.versions, summary.trajectories, summary.failed_tools) == (1, 1, ("run-1",))
    again = Counting(sandbox)
    assert import_recorded(path, store, again).failed_tools == ()
    assert again.programs == [RAISES]


IMPORT = """
import os, signal, sys
from iterpref.importing import import_recorded
from iterpref.sandbox import Sandbox
from iterpref.store import Store
class Killed(Sandbox):
    def run_many(self, jobs, repeat=1):
        for number, execution in enumerate(super().run_many(jobs, repeat)):
            if number == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            yield execution
with Store.open(sys.argv[2]) as store, Killed(workers=1) as sandbox:
    import_recorded(sys.argv[1], store, sandbox)
"""


def test_a_killed_import_goes_on_where_it_stopped(tmp_path: Path, sandbox: Sandbox, write_rows: WriteRows) -> None:
    def right(number: int) -> str:
        return f"def smallest(xs):\n    return min(xs, default=-1) + 0 * {number}\n"

    path = write_rows(*(run((right(n), "pass"), (right(n + 100), "pass"), id=f"run-{n:02}") for n in range(20)))
    killed = subprocess.run([sys.executable, "-c", IMPORT, str(path), str(tmp_path / "run")])
    assert killed.returncode == -signal.SIGKILL
    with Store.open(tmp_path / "run") as store:
        finished = store.count("executions")
        assert 5 <= finished < 40
        counting = Counting(sandbox)
        summary = import_recorded(path, store, counting)
        assert (summary.versions, summary.agree, summary.trajectories) == (40, 40, 20)
        assert len(counting.programs) == 40 - finished
        killed = [t.model_dump(exclude=_TIMES) for t in store.trajectories()]
    with Store.open(tmp_path / "whole") as store:
        import_recorded(path, store, sandbox)
        assert [t.model_dump(exclude=_TIMES) for t in store.trajectories()] == killed


_TIMES: Any = {"attempts": {"__all__": {"execution": {"wall_s", "cpu_s", "max_rss_bytes"}}}}


def test_batches_hold_each_program_once(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    counting = Counting(sandbox)
    rows = [run((WRONG, "fail"), (RIGHT, "pass"), id=f"run-{number}") for number in range(3)]
    assert import_recorded(write_rows(*rows), store, counting).versions == 6
    assert counting.programs == [WRONG, RIGHT]
