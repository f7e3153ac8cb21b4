"""Time limits: a busy machine is no verdict on a program, and calls are bounded one by one."""

import asyncio
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import job, returns

from iterpref.executor import Executor
from iterpref.records import Limits, Task, TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store

# Burns exactly so much CPU time, on any machine.
SLOW = """
import time
def f(x):
    end = time.process_time() + {seconds}
    while time.process_time() < end:
        pass
    return x
"""
# Loops for ever in its first run and not in the next, as if the machine had been busy for a while.
UNLUCKY = """
import os
def f():
    try:
        os.close(os.open({mark!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return {answer}
    while True:
        pass
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that programs without isolation can write to, whoever they run as."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_defect_4_a_timeout_counts_only_if_it_comes_again(bare: Sandbox, open_folder: Path) -> None:
    program = UNLUCKY.format(mark=str(open_folder / "ran"), answer=7)
    assert bare.run(returns(program, 7, limits=Limits(cpu_s=0.3))).verdict == "passed"
    assert bare.run(returns("def f():\n    while True: pass", 7, limits=Limits(cpu_s=0.3))).verdict == "timeout"


def test_defect_4_beside_the_second_run_at_most_half_of_the_cpus_are_used(open_folder: Path) -> None:
    cpus = len(os.sched_getaffinity(0))
    running = open_folder / "running"
    running.mkdir()
    running.chmod(0o777)
    others = (
        "import os, time\ndef f():\n    here = {here!r}\n    os.mkdir(here)\n    time.sleep(1)\n    os.rmdir(here)\n"
    )
    jobs = [returns(others.format(here=str(running / str(number))), None) for number in range(2 * cpus)]
    unlucky = UNLUCKY.format(mark=str(open_folder / "ran"), answer=f"len(os.listdir({str(running)!r}))")
    jobs.insert(1, returns(unlucky, -1, limits=Limits(cpu_s=0.3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sandbox = Sandbox(workers=cpus + 1, isolation="rlimits")
    with sandbox:
        found = list(sandbox.run_many(jobs))
    case = found.pop(1).failing_case
    assert case is not None and case.got in map(str, range(max(1, cpus // 2)))
    assert all(execution.passed for execution in found)


UNITTEST = "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
ONE = {
    "calls": '{"args": "(1,)", "expected": "1"}',
    "stdio": '{"stdin": "", "stdout": "1"}',
    "unittest": UNITTEST + "    def test(self):\n        self.assertEqual(f(1), 1)\n",
}


@pytest.mark.parametrize("style", ONE)
def test_defect_4_a_program_as_slow_as_its_reference_passes(cage: Sandbox, tmp_path: Path, style: str) -> None:
    slow = SLOW.format(seconds=0.15) + ("print(f(1))\n" if style == "stdio" else "")
    task = Task(task_id="t", prompt="", style=style, entry_point="f", limits=Limits(cpu_s=0.1), reference=slow,
                tests=(TestFile(path="test_it.py", content=ONE[style]),))  # fmt: skip
    with Store.open(tmp_path / "run") as store:

        def verdict(program: str, of: Task = task) -> str:
            return asyncio.run(Executor(cage, store).execute(of, program))[1].verdict

        assert verdict(slow + "# in its own words\n") == "passed"
        assert verdict(slow) == "passed", "the reference itself"
        assert verdict("while True: pass") == "timeout"
        wrong = task.model_copy(update={"task_id": "u", "reference": slow.replace("return x", "return 5")})
        assert verdict(slow + "# in other words\n", wrong) == "timeout", "a reference that fails says nothing"


def test_defect_4_a_control_has_time_for_what_the_tests_did(bare: Sandbox, open_folder: Path) -> None:
    """The program is twice as slow in its second run, which is the negative control's."""
    program = f"import os\nslow = os.path.exists({str(open_folder / 'ran')!r})\n" + SLOW.format(
        seconds="(0.6 if slow else 0.3)"
    )
    program += f"open({str(open_folder / 'ran')!r}, 'w').close()\n"
    execution = bare.run(job(program, ONE["unittest"], "unittest", limits=Limits(cpu_s=0.5)))
    assert (execution.verdict, execution.trust) == ("passed", "checked")


@pytest.mark.parametrize("style", ["calls", "unittest"])
def test_calls_are_bounded_one_by_one(cage: Sandbox, style: str) -> None:
    if style == "calls":
        tests = "".join(f'{{"args": "({number},)", "expected": "{number}"}}\n' for number in range(5))
    else:
        tests = UNITTEST + "".join(
            f"    def test_{n}(self):\n        self.assertEqual(f({n}), {n})\n" for n in range(5)
        )
    limits = Limits(cpu_s=30.0, call_cpu_s=0.6, call_wall_s=30.0)
    asked = job(SLOW.format(seconds=0.2), tests, style, entry_point="f", limits=limits)
    assert cage.run(asked).passed, "one second in all, a fifth of it a call"
    endless = SLOW.format(seconds="(99 if x == 3 else 0)")
    found = cage.run(asked.model_copy(update={"program": endless}), retry_timeout=False)
    assert (found.verdict, found.error_type) == ("timeout", "call_cpu_s")
    assert found.cpu_s < 10
    assert [test.verdict for test in found.tests] == ["passed"] * 3 + ["not_run"] * 2


def test_a_call_that_sleeps_is_bounded_too(cage: Sandbox) -> None:
    limits = Limits(wall_s=60.0, call_cpu_s=5.0, call_wall_s=0.3)
    found = cage.run(returns("import time\ndef f(): time.sleep(99)", None, limits=limits), retry_timeout=False)
    assert (found.verdict, found.error_type) == ("timeout", "call_wall_s")


def test_a_channel_kept_busy_does_not_outlast_the_whole_limit(cage: Sandbox) -> None:
    """What a program writes there itself counts as the end of a call, and for nothing else."""
    busy = "import os\nfor fd in range(3, 1024):\n    try: os.set_blocking(fd, False)\n    except OSError: pass\n"
    busy += (
        "while True:\n    for fd in range(3, 1024):\n        try: os.write(fd, b'x')\n        except OSError: pass\n"
    )
    execution = cage.run(job(busy, "assert f(1)", limits=Limits(cpu_s=0.6, call_cpu_s=0.3)), retry_timeout=False)
    assert execution.verdict != "passed" and execution.cpu_s < 5


def test_limits_are_written_as_before_where_calls_are_not_bounded() -> None:
    names = {"cpu_s", "wall_s", "memory_bytes", "processes", "open_files", "file_bytes", "output_bytes"}
    assert Limits().model_dump().keys() == names
    bounded = Limits(call_cpu_s=2.0)
    assert Limits.model_validate(bounded.model_dump()) == bounded
    assert bounded.at_least(3, 50) == Limits(cpu_s=5.0, wall_s=50.0, call_cpu_s=3.0)


def test_the_key_of_a_job_is_made_of_what_it_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that executions stored by earlier versions are found; the reference only says how patient to be."""
    monkeypatch.setattr("iterpref.sandbox.job.ENGINE_VERSION", 5)
    plain = job("def f(x): return x + 1\n", "assert f(1) == 2")
    assert plain.key == plain.model_copy(update={"reference": "def f(x): return 1 + x"}).key
    assert plain.key == "38c9b968f0ce3364a72768a7", "by the commit before calls were bounded"
    assert plain.key != plain.model_copy(update={"limits": Limits(call_cpu_s=2.0)}).key


def test_quiet_runs_go_first_and_share_half_of_the_places() -> None:
    from iterpref.sandbox.workers.crowd import Crowd

    crowd, order, leave = Crowd(4), [], threading.Event()

    def run(name: str, quiet: bool) -> None:
        with crowd.place(quiet):
            order.append(name)
            leave.wait(60)

    def start(name: str, quiet: bool = False) -> threading.Thread:
        thread = threading.Thread(target=run, args=(name, quiet))
        thread.start()
        return thread

    threads = [start(f"ordinary {number}") for number in range(3)]
    _until(lambda: len(order) == 3)
    threads += [start("quiet", True)]
    _until(lambda: crowd._waiting == 1)
    threads += [start("late")]
    assert len(order) == 3, "three of four places are taken: neither may start"
    leave.set()
    for thread in threads:
        thread.join()
    assert order[3:] == ["quiet", "late"] and crowd._running == crowd._quiet == crowd._waiting == 0


def _until(holds) -> None:  # type: ignore[no-untyped-def]
    while not holds():
        threading.Event().wait(0.005)


def test_a_job_of_a_task_knows_its_reference() -> None:
    tests = (TestFile(path="t.py", content="assert f(1)"),)
    task = Task(task_id="t", prompt="", tests=tests, style="assert", reference="def f(x): return x")
    assert Job.from_task(task, "def f(x): return 1").reference == task.reference
