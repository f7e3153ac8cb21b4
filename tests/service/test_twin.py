"""A sandbox behind a service answers as one in this process."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from services import Start

from iterpref.errors import RecordError, SandboxError
from iterpref.records import Execution, Limits
from iterpref.rewards import CodeReward
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.call_tables import CallRow, encode, write_row
from iterpref.sandbox.inside.values.stand_ins import Iterated
from iterpref.sandbox.remote import ServedSandbox

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
from jobs import job, returns

JOBS = [
    job("def f(x): return x + 1", "assert f(1) == 2\nassert f(2) == 3"),
    job("def f(x): return x", "assert f(1) == 2"),
    job("def f(x): raise KeyError('é')", "assert f(1) == 2"),
    job("def f(x): return '\udc80'", "assert f(1) == '\udc80'"),
    job("def f(x): return x + 1", "def check(c):\n    assert c(1) == 2\n", "check", entry_point="f"),
    job("print(int(input()) * 2)", '{"stdin": "2\\n", "stdout": "4\\n"}\n{"stdin": "3\\n", "stdout": "7"}', "stdio"),
    job("from solution import f\n", "def test_a():\n    assert 1 == 2\n", "pytest"),
    job("def f(x):\n  while True: pass", "assert f(1) == 2", limits=Limits(cpu_s=0.3)),
    job("def f(:", "assert f(1) == 2"),
    returns("import random\ndef f(): return random.random()", 0.5),
]


ODD_VALUES = [
    *((value, "equal") for value in (1, "\udc80", float("nan"), [1, (2, {3: {4}})], b"x", 2**90, 1j, [0] * 20_000)),
    ({3, 1, 2}, "set"), ([3, 1], "set"), ([9], "set"), (7, "equal"),  # an iterator, and a function
]  # fmt: skip


@pytest.fixture(scope="module")
def served(url: str) -> Iterator[ServedSandbox]:
    with ServedSandbox(url) as made:
        yield made


def without_measures(execution: Execution) -> Execution:
    return execution.model_copy(update={"wall_s": 0.0, "cpu_s": 0.0, "max_rss_bytes": 0})


def shown(values: tuple[object, ...]) -> list[tuple[type, str]]:
    return [(type(value), repr(list(value) if isinstance(value, Iterated) else value)) for value in values]


def test_equal_jobs_get_equal_executions(served: ServedSandbox) -> None:
    with Sandbox(workers=2) as sandbox:
        assert served.isolation == sandbox.isolation and served.warnings == sandbox.warnings
        here = [without_measures(sandbox.run(one)) for one in JOBS]
    assert [without_measures(served.run(one)) for one in JOBS] == here
    assert [without_measures(one) for one in served.run_many(iter(JOBS))] == here


def test_the_rest_of_its_methods_answers_alike(served: ServedSandbox) -> None:
    rows = "\n".join(write_row(CallRow([encode(value)], match=match)) for value, match in ODD_VALUES)
    table = job("def f(x): return f if x == 7 else iter(x) if x == [9] else x", rows, "calls", entry_point="f")
    script = job("import sys\nprint(input(), '\u00e9')\nsys.exit(3)", "", "stdio").model_copy(
        update={"tests": (), "stdin": "hello\n"}
    )
    branches = job("def f(x):\n    if x > 1:\n        return 2\n    return 1", "assert f(1) == 1")
    with Sandbox(workers=2) as sandbox:
        here, there = sandbox.answers(table), served.answers(table)
        assert shown(there.values) == shown(here.values) and (there.problem, here.problem) == ("", "")
        ran, ran_there = (replace(one.run_script(script), wall_s=0.0, cpu_s=0.0) for one in (sandbox, served))
        assert ran_there == ran and ran.status == 3 and ran.stdout.startswith("hello")
        seen, seen_there = sandbox.measure(branches), served.measure(branches)
        assert seen_there.arcs == seen.arcs and seen.arcs and seen_there.problem == seen.problem
        assert without_measures(seen_there.execution) == without_measures(seen.execution)


def test_a_hash_seed_is_the_one_of_a_sandbox_here(start: Start) -> None:
    printed = job("print([*{str(n) for n in range(20)}])", "", "stdio").model_copy(update={"tests": ()})
    url, orders = start(1), []
    for seed in (0, 1, 2):
        with Sandbox(workers=1, hash_seed=seed) as sandbox, ServedSandbox(url, hash_seed=seed) as there:
            orders.append(there.run_script(printed).stdout)
            assert orders[-1] == sandbox.run_script(printed).stdout
    assert len(set(orders)) == 3


def test_repeats_find_what_depends_on_the_order_of_sets(served: ServedSandbox) -> None:
    flaky = job("def f(x): return list({'a', 'b', 'c', 'd', 'e'})[0]", "assert f(1) == 'a'")
    found = {served.run(flaky.model_copy(update={"seed": seed}), repeat=5).error_type for seed in range(2)}
    assert "Flaky" in found or found == {"AssertionError"}


def test_many_threads_get_their_own_answers(served: ServedSandbox) -> None:
    jobs = [returns(f"def f(): return {n}", n if n % 3 else -1) for n in range(120)]
    found = list(served.run_many(jobs))
    assert [one.passed for one in found] == [bool(n % 3) for n in range(120)]
    assert [one.failing_case.got for one in found if one.failing_case] == [str(n) for n in range(120) if n % 3 == 0]


def test_it_waits_where_all_places_are_taken(start: Start) -> None:
    slow = job("import time\ndef f(x):\n  time.sleep(0.5)\n  return 2", "assert f(1) == 2")
    with ServedSandbox(start(1, queue=0), workers=3) as served:
        assert [one.passed for one in served.run_many([slow] * 3)] == [True] * 3


def test_rewards_use_it(served: ServedSandbox) -> None:
    reward = CodeReward(sandbox=served)
    right, wrong = (f"```python\ndef f(x): return {n} * x\n```" for n in (2, 3))
    assert reward.score([right, wrong] * 10, [{"tests": ["assert f(2) == 4"]}] * 20) == [1.0, 0.0] * 10


def test_bad_input_a_job_that_can_not_be_used(served: ServedSandbox) -> None:
    with pytest.raises(RecordError, match=r"service http.*line 1: KeyError: 'args'; expected the keys args, expected"):
        served.run(job("def f(x): return 1", "{}", "calls", entry_point="f"))
    with pytest.raises(RecordError, match=r"limits: cpu_s 10000 .at most 300"):
        served.run(job("x = 1", "assert x == 1", limits=Limits(cpu_s=10_000)))


def test_bad_input_a_wrong_address_or_token(start: Start, url: str) -> None:
    with pytest.raises(SandboxError, match="got 'localhost:8080', expected an address as http"):
        ServedSandbox("localhost:8080")
    guarded = start(1, token="secret")
    with (
        pytest.raises(SandboxError, match="401: Authorization: a bearer token is needed"),
        ServedSandbox(guarded) as it,
    ):
        it.run(JOBS[0])
    with ServedSandbox(guarded, token="secret") as it:
        assert it.run(JOBS[0]).passed
    with pytest.raises(SandboxError, match="404"), ServedSandbox(f"{url}/elsewhere") as it:
        it.run(JOBS[0])


def test_bad_input_a_service_that_is_not_there() -> None:
    with ServedSandbox("http://127.0.0.1:9", patience_s=1.0) as served:
        reward = CodeReward(sandbox=served)
        with pytest.warns(
            RuntimeWarning, match=r"no reward: The service http://127.0.0.1:9 gave no answer in 1 s"
        ) as told:
            assert reward.score(["def f(x): return 2"] * 4, [{"tests": ["assert f(2) == 2"]}] * 4) == [None] * 4
        assert len(told) == 1 and reward.metrics.no_verdict == 4
        with pytest.raises(SandboxError, match="is iterpref serve running there"):
            _ = served.isolation


def test_it_outlives_a_service_that_starts_anew(tmp_path: Path) -> None:
    """The command itself: SIGTERM ends it when what runs has its answer, and the client asks the next one."""

    def command(port: int) -> tuple["subprocess.Popen[bytes]", str]:
        log = tmp_path / "log"
        with log.open("wb") as stderr:
            line = [sys.executable, "-m", "iterpref", "serve", "--port", str(port), "--workers", "1"]
            process = subprocess.Popen(line, stderr=stderr)
        while not (said := log.read_text()).endswith("\n"):
            assert process.poll() is None, said
            time.sleep(0.05)
        assert said.startswith("serving on http://127.0.0.1:"), said
        return process, said.split()[2]

    slow = job("import time\ndef f(x):\n  time.sleep(1)\n  return 2", "assert f(1) == 2")
    first, url = command(0)
    found: list[Execution] = []
    with ServedSandbox(url, patience_s=60.0) as served:
        asking = threading.Thread(target=lambda: found.append(served.run(slow)))
        asking.start()
        time.sleep(0.5)
        first.terminate()
        assert first.wait(timeout=20) == 0
        asking.join()
        assert found[0].passed, "what ran was answered"
        asking = threading.Thread(target=lambda: found.append(served.run(slow)))
        asking.start()
        second, _ = command(int(url.rsplit(":", 1)[1]))
        asking.join()
        assert found[1].passed
        second.terminate()
        assert second.wait(timeout=20) == 0


def test_job_has_no_field_that_json_loses() -> None:
    full = JOBS[3].model_copy(update={"reference": "x", "stdin": "y", "seed": 3, "limits": Limits(call_cpu_s=1.0)})
    assert Job.model_validate(full.model_dump(mode="json")) == full
