"""Repeats under other hash seeds, fresh workers after many runs, and the self-test of the isolation."""

import os

import pytest
from jobs import job

from iterpref.sandbox import Sandbox
from iterpref.sandbox.inside.linux.processes import descendants
from iterpref.sandbox.inside.rungs import selftest

FLAKY = "def f():\n    return list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})[0]"


def test_verdicts_that_depend_on_the_hash_seed_are_flaky() -> None:
    before = set(descendants(os.getpid()))
    with Sandbox(workers=1, hash_seed=0) as sandbox:
        said = sandbox.run(job(FLAKY, "assert f() == 'none'")).failing_case
        assert said is not None
        depends = job(FLAKY, f"assert f() == {said.got}")
        assert sandbox.run(depends).passed
        assert sandbox.run(depends).passed, "one seed gives one verdict"
        execution = sandbox.run(depends, repeat=6)
        assert (execution.verdict, execution.error_type) == ("unverified", "Flaky")
        assert "Run 1 ended as passed" in execution.error and "as failed" in execution.error
        steady = job("def f():\n    return sorted({'a', 'b'})[0]", "assert f() == 'a'")
        assert [e.verdict for e in sandbox.run_many([steady] * 2, repeat=3)] == ["passed"] * 2
        assert len(set(descendants(os.getpid())) - before) >= 4
    assert set(descendants(os.getpid())) <= before, "the workers of the other seeds end too"


def test_a_worker_is_replaced_after_its_runs() -> None:
    right = job("def f(x): return x", "assert f(1) == 1")
    with Sandbox(workers=1, runs_per_worker=3) as sandbox:
        seen = []
        for _ in range(7):
            assert sandbox.run(right).passed
            seen += [worker.pid for worker in sandbox.pool.open]
        assert len(set(seen)) == 3 and len(seen) == 7


def test_a_worker_is_probed_from_time_to_time(cage: Sandbox) -> None:
    right = job("def f(x): return x", "assert f(1) == 1")
    assert cage.run(right).passed
    (worker,) = cage.pool.open
    worker.runs = 499
    assert cage.run(right).passed
    assert worker.runs == 501, "the probe is a run of its own"


def test_every_rung_passes_its_self_test(filtered: Sandbox) -> None:
    (worker,) = filtered.pool.open
    runs = worker.runs
    worker.probe()  # raises where a check of the isolation fails
    assert worker.runs == runs + 1


@pytest.mark.skipif(os.name != "posix", reason="asks for uid and limits")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_this_process_does_not_pass_for_isolated() -> None:
    for rung in ("zygote", "landlock"):
        with pytest.raises(selftest.NotIsolated, match=r"not shut: .*\w"):
            selftest.check(rung, seccomp=True)
