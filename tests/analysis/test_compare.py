import numpy as np
import pytest
from scipy import stats

from iterpref.analysis.compare import bootstrap_mean, compare, mcnemar_p
from iterpref.errors import RecordError
from iterpref.records import Execution, Result, Sample

PASSED = Execution(verdict="passed", trust="oracle", isolation="zygote")
FAILED = Execution(verdict="failed", trust="oracle", isolation="zygote")


def result(solved: dict[str, bool], name: str = "r", benchmark: str = "own", data: str = "d") -> Result:
    samples = tuple(
        Sample(task_id=task, sample_index=0, completion="", program="", execution=PASSED if ok else FAILED)
        for task, ok in solved.items()
    )
    return Result(
        result_id=name,
        benchmark=benchmark,
        model=f"model {name}",
        dataset_hash=data,
        protocol="greedy",
        samples=samples,
        metrics={},
    )


def test_task_by_task() -> None:
    before = result({"a": True, "b": False, "c": True, "d": False, "e": False}, "one")
    after = result({"e": True, "d": False, "c": True, "b": True, "a": False}, "two")  # another order
    found = compare(before, after)
    assert (found.won, found.lost, found.both, found.neither) == (("b", "e"), ("a",), ("c",), ("d",))
    assert (found.first_pass_at_k, found.second_pass_at_k) == (0.4, 0.6)
    assert found.difference == pytest.approx(0.2)
    assert found.mcnemar_p == 1.0  # 2 against 1
    assert found.low <= 0.2 <= found.high and found.level == 0.95
    assert compare(after, before).won == found.lost
    assert compare(before, after) == found


def test_equal_results() -> None:
    same = result({"a": True, "b": False})
    found = compare(same, same)
    assert (found.difference, found.low, found.high, found.mcnemar_p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("won", "lost"), [(0, 0), (1, 0), (5, 0), (0, 5), (3, 3), (4, 3), (10, 2), (89, 4), (60, 80), (500, 400)]
)
def test_mcnemar_equals_scipy(won: int, lost: int) -> None:
    expected = stats.binomtest(won, won + lost, 0.5).pvalue if won + lost else 1.0
    assert mcnemar_p(won, lost) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    assert mcnemar_p(5, 0) == 2 / 32
    assert mcnemar_p(6, 1) == 2 * (1 + 7) / 128


def interval(won: int, lost: int, tasks: int, level: float = 0.95) -> tuple[float, float]:
    """Of the difference in pass@1: a task counts +1 (won), -1 (lost) or 0."""
    return bootstrap_mean({-1.0: lost, 0.0: tasks - won - lost, 1.0: won}, level)


def test_interval_equals_scipy_bootstrap_over_tasks() -> None:
    won, lost, tasks = 60, 25, 300
    differences = np.array([1] * won + [-1] * lost + [0] * (tasks - won - lost))
    expected = stats.bootstrap(
        (differences,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    low, high = interval(won, lost, tasks)
    assert (low, high) == (pytest.approx(expected.low, abs=0.005), pytest.approx(expected.high, abs=0.005))
    assert interval(won, lost, tasks) == (low, high)
    wider = interval(won, lost, tasks, level=0.99)
    assert wider[0] < low and high < wider[1]


def test_interval_covers_the_truth() -> None:
    """Of 95 % intervals over redrawn data about 95 % hold the true difference of 0.1."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(200, [0.3, 0.2, 0.5], size=300)
    held = sum(low <= 0.1 <= high for low, high in (interval(int(w), int(x), 200) for w, x, _ in draws))
    assert 0.9 <= held / 300 <= 0.99


@pytest.mark.parametrize(
    ("second", "message"),
    [
        pytest.param(result({"a": True}, "two", data="e"), "dataset_hash is d in one and e in the other", id="data"),
        pytest.param(
            result({"a": True}, "two", benchmark="other"), "benchmark is own in one and other", id="benchmark"
        ),
        pytest.param(result({"a": True, "b": True}, "two"), r"1 tasks are in only one .*\(the first: b\)", id="tasks"),
        pytest.param(result({}, "two"), "result two: no samples", id="empty"),
    ],
)
def test_results_that_cannot_be_compared(second: Result, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        compare(result({"a": True}), second)


def several(counts: dict[str, tuple[int, int]], name: str) -> Result:
    """Task → (passed, drawn)."""
    empty = result({}, name)
    samples = [
        Sample(task_id=task, sample_index=i, completion="", program="", execution=PASSED if i < passed else FAILED)
        for task, (passed, drawn) in counts.items()
        for i in range(drawn)
    ]
    return empty.model_copy(update={"samples": tuple(samples)})


def test_several_samples_per_task() -> None:
    first = several({"a": (1, 4), "b": (0, 4), "c": (2, 4), "d": (0, 4)}, "one")
    second = several({"a": (2, 4), "b": (0, 4), "c": (1, 4), "d": (4, 4)}, "two")
    found = compare(first, second)
    assert (found.won, found.lost, found.both, found.neither) == (("a", "d"), ("c",), (), ("b",))
    assert found.first_pass_at_k == pytest.approx(3 / 16) and found.second_pass_at_k == pytest.approx(7 / 16)
    assert found.mcnemar_p is None and found.low <= found.difference <= found.high
    at_two = compare(first, second, k=2)
    assert at_two.first_pass_at_k == pytest.approx((1 - 3 / 6 + 1 - 1 / 6) / 4)  # C(3,2)/C(4,2), C(2,2)/C(4,2)
    with pytest.raises(RecordError, match="task a has 4 samples, and pass@5 needs 5"):
        compare(first, second, k=5)
