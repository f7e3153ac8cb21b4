"""What became of failures, by iteration."""

from collections.abc import Sequence

import pytest

from iterpref.analysis.funnel import RepairTally, tallied
from iterpref.records import Attempt, Execution, Trajectory
from iterpref.viewer.debugging_facts import Cost


def trajectory(name: str, *kinds: str, status: str = "unresolved") -> Trajectory:
    """`kinds`: "+" for a pass, "-" for a test that failed, else an exception."""

    def outcome(kind: str) -> Execution:
        verdict = {"+": "passed", "-": "failed"}.get(kind, "error")
        return Execution.model_validate(
            {"verdict": verdict, "trust": "oracle", "isolation": "zygote",
             "error_type": kind if verdict == "error" else ""}
        )  # fmt: skip

    attempts = tuple(
        Attempt(iteration=i, program="p", completion="c", execution=outcome(kind)) for i, kind in enumerate(kinds)
    )
    return Trajectory.model_validate(
        {"trajectory_id": name, "task_id": name, "attempts": attempts, "status": status, "client": "c"}
    )


def rows(*trajectories: Trajectory) -> list[tuple[str, Sequence[int], Sequence[int], int, int]]:
    return [(row.name, row.tried, row.fixed, row.same, row.other) for row in tallied(RepairTally(), trajectories).rows]


def test_by_kind_and_iteration() -> None:
    found = rows(
        trajectory("a", "KeyError", "+"),
        trajectory("b", "KeyError", "-", "-", "+"),
        trajectory("c", "-", "KeyError"),
        trajectory("d", "+"),
        trajectory("e", "TypeError"),
    )
    assert found == [
        ("assertion", [1, 1, 1], [0, 0, 1], 1, 1),
        ("KeyError", [2, 0, 0], [1, 0, 0], 0, 1),
    ]
    assert tallied(RepairTally(), [trajectory("a", "KeyError", "+")]).rows[0].fixed_share == 1.0


def test_what_does_not_count() -> None:
    assert rows(trajectory("a", "-", "+", status="failed_tools")) == []
    assert rows(trajectory("a", "+", "-", "+")) == []  # solved at once; a recording may go on
    assert rows(trajectory("a", "-", "+", "-", "+")) == [("assertion", [1], [1], 0, 0)]


def test_cost_per_pair() -> None:
    cost = Cost(trajectories=4, attempts=10, pairs=5, sandbox_cpu_s=2.0, calls=9, prompt_tokens=100)
    assert (cost.per_pair(cost.calls), cost.per_pair(cost.prompt_tokens), cost.per_pair(cost.usd)) == (1.8, 20.0, None)
    assert Cost(trajectories=1, attempts=1, pairs=0, sandbox_cpu_s=0.0).per_pair(1) is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_attempts(count: int) -> None:
    assert rows(*[trajectory("a", "-")] * count) == []
