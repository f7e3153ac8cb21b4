import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.errors import StoreError
from iterpref.records import Execution, TestFile
from iterpref.store import SCHEMA_VERSION, Store
from iterpref.store.database import MIGRATIONS
from iterpref.store.tables import Tables
from test_records import ATTEMPT, EXECUTION, PAIR, RESULT, TASK, TRAJECTORY


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def test_records_come_back_equal(store: Store) -> None:
    long_task = TASK.model_copy(update={"task_id": "t/2", "prompt": "é☃" * 500})
    store.put_tasks([TASK, long_task])
    assert list(store.tasks()) == [TASK, long_task]
    store.put_execution("e", EXECUTION)
    store.put_attempt("a", "t/1", ATTEMPT, "e")
    assert list(store.trajectories()) == []  # not closed yet
    store.put_trajectory(TRAJECTORY)
    assert store.trajectory("a") == TRAJECTORY
    assert list(store.trajectories("debugging")) == [TRAJECTORY]
    assert list(store.trajectories("sampling")) == []
    store.replace_pairs([PAIR])
    assert list(store.pairs(kept=True)) == [PAIR]
    store.put_result(RESULT)
    assert store.result("r") == RESULT
    assert store.result("other") is None


def test_long_texts_are_stored_once(store: Store) -> None:
    text = "x" * 10_000
    for key in ("a", "b"):
        store.put_execution(key, EXECUTION.model_copy(update={"stdout": text}))
    assert store.count("texts") == 1
    loaded = store.execution("b")
    assert isinstance(loaded, Execution)
    assert loaded.stdout == text


def test_lone_surrogates_survive(store: Store) -> None:
    for text in ("\udc80", "\udc80" * 300):
        store.put_execution("k", EXECUTION.model_copy(update={"stdout": text}))
        loaded = store.execution("k")
        assert loaded is not None
        assert loaded.stdout == text


def test_changed_tests_are_refused(store: Store) -> None:
    store.put_tasks([TASK])
    store.put_tasks([TASK])
    changed = TASK.model_copy(update={"tests": (TestFile(path="tests.py", content="assert True"),)})
    with pytest.raises(StoreError, match="task t/1: its tests differ"):
        store.put_tasks([changed])
    assert list(store.tasks()) == [TASK]


def test_writing_again_replaces(store: Store) -> None:
    store.put_execution("e", EXECUTION)
    store.put_execution("e", EXECUTION)
    assert store.count("executions") == 1
    store.replace_pairs([PAIR, PAIR.model_copy(update={"pair_id": "q"})])
    store.replace_pairs([PAIR])
    assert [pair.pair_id for pair in store.pairs()] == ["p"]


def test_unknown_task_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="task nope: not in"):
        store.task("nope")


def test_a_second_writer_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="another iterpref process is writing"):
        Store.open(store.folder)
    with Store.open(store.folder, write=False) as reader:
        assert list(reader.tasks()) == []


def test_no_run_here(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run here"):
        Store.open(tmp_path, write=False)


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for write in (True, False):
        with pytest.raises(StoreError, match=f"schema {SCHEMA_VERSION + 1}.*upgrade iterpref"):
            Store.open(tmp_path, write=write)
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    Store.open(tmp_path).close()  # the refusal left the lock free and the rows alone


TRACE = "IndexError: list index out of range\n  test_it.py line 7, in test_f: got = f(i)\n  line 2, in f: return x[i]"
ERRORS = {
    "": ("", ()),
    "The run hit its limit cpu_s.": ("The run hit its limit cpu_s.", ()),
    f"{TRACE}\n  with i = 2": (TRACE.split("\n")[0], (*TRACE.split("\n")[1:], "  with i = 2")),
    "RecursionError: deep\n  line 2, in f: return f(n - 1) (about 1000 times)\n  ... about 900 more frames": (
        "RecursionError: deep",
        ("  line 2, in f: return f(n - 1) (about 1000 times)", "  ... about 900 more frames"),
    ),
    "SyntaxError: '(' was never closed (line 2)\n  line 2: return (x": (
        "SyntaxError: '(' was never closed (line 2)",
        ("  line 2: return (x",),
    ),
    "AssertionError: Lists differ: [1] != [2]\n\n- [1]\n+ [2]\n  line 3: assertEqual(f(1), [2])": (
        "AssertionError: Lists differ: [1] != [2]\n\n- [1]\n+ [2]",
        ("  line 3: assertEqual(f(1), [2])",),
    ),
    "TypeError: no\n  f(3) returned 'abc'": ("TypeError: no", ("  f(3) returned 'abc'",)),
    "This example\n  f(1)\ngave\n  3\nexpected\n  4\n  test.txt line 3": (
        "This example\n  f(1)\ngave\n  3\nexpected\n  4",
        ("  test.txt line 3",),
    ),
    # What a script read stands below; the text is as before.
    f"{TRACE}\nInput:\n  3": (f"{TRACE}\nInput:\n  3", ()),
    f"ValueError: {'x' * 300}\n  line 9: {'y' * 300}": (f"ValueError: {'x' * 300}", (f"  line 9: {'y' * 300}",)),
    "ValueError: \udc80\n  line 9: f()": ("ValueError: \udc80", ("  line 9: f()",)),
}


def test_a_database_of_schema_1_gets_frames(tmp_path: Path) -> None:
    """Written as schema 1 was: errors whole, executions without `frames`."""
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.executescript(str(MIGRATIONS[0]))
        connection.execute("PRAGMA user_version = 1")
        old = Tables(tmp_path, connection)
        executions = [EXECUTION.model_copy(update={"error": error}) for error in ERRORS]
        for key, execution in enumerate(executions):
            record = execution.model_dump(mode="json", exclude={"frames"})
            old._put("executions", str(key), execution.verdict, old._pack_json(record))
        samples = tuple(RESULT.samples[0].model_copy(update={"execution": execution}) for execution in executions)
        record = RESULT.model_copy(update={"samples": samples}).model_dump(mode="json")
        for sample in record["samples"]:
            del sample["execution"]["frames"]
        old._put("results", "r", "b", "m", old._pack_json(record))
    connection.close()
    with Store.open(tmp_path, write=False) as reader:
        assert reader.execution("2") == executions[2]  # not yet split
    with Store.open(tmp_path) as store:
        stored = [store.execution(str(key)) for key in range(len(ERRORS))]
        result = store.result("r")
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert result is not None
    assert stored == [sample.execution for sample in result.samples]
    for (text, parts), execution in zip(ERRORS.items(), stored, strict=True):
        assert execution is not None
        assert (execution.error, execution.frames) == parts
        assert execution.text == text


def test_defect_1_figures_on_tests_of_schema_2_are_to_be_measured_again(tmp_path: Path) -> None:
    quality = {
        "task_id": "t", "tests_hash": "h", "program_hash": "p", "repeats": 3, "repeats_passed": 3, "mutants": 4,
        "mutants_killed": 3, "passing_stubs": ["raises"], "line_coverage": 0.25, "branch_coverage": 0.0,
        "judge": {"accuracy": 5},
    }  # fmt: skip
    never = quality | {"program_hash": "n", "repeats_passed": 0, "mutants_killed": 4}
    with Store.open(tmp_path) as store:
        for record in (quality, never):
            store._put("qualities", "t", record["program_hash"], store._pack_json(record))
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with Store.open(tmp_path) as store:
        wrong, found = store.qualities()
    assert (found.passing_stubs, found.line_coverage, found.branch_coverage) == ((), None, None)
    assert (found.mutation_score, wrong.mutation_score) == (0.75, None)
    assert (found.repeats_passed, found.judge, found.stale) == (3, {"accuracy": 5}, True)
    assert found.unmeasured["line_coverage"] == "measured by an earlier version; run iterpref validate"


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "run.sqlite").write_text("hello, this is not SQLite at all" * 40)
    with pytest.raises(StoreError, match="not a readable run database"):
        Store.open(tmp_path)


WRITER = """
import sys, itertools
from iterpref.store import Store
from test_records import EXECUTION
store = Store.open(sys.argv[1])
for i in itertools.count():
    store.put_execution(str(i), EXECUTION.model_copy(update={"stdout": str(i) * 300}))
    print(i, flush=True)
"""


def test_rows_written_before_a_sigkill_are_there(tmp_path: Path) -> None:
    """Every row that was reported as written is there after SIGKILL, whole, and the lock is free."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        reported = [int(next(writer.stdout)) for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        reported += [int(line) for line in writer.stdout if line.endswith("\n")]
    with Store.open(tmp_path) as store:
        for i in reported:
            execution = store.execution(str(i))
            assert execution is not None
            assert execution.stdout == str(i) * 300
