from typing import Any

import pytest

from iterpref.analysis.funnel import (
    ErrorRow,
    KindTally,
    PairTally,
    iteration_rows,
    pass_rate_by_iteration,
    tallied,
)
from iterpref.records import Attempt, Execution, FilterVerdict, Origin, PreferencePair, Trajectory

# One letter per attempt: p(assed), w(rong output), i(ndex error), t(imeout), n(o program), a(ssertion)
OUTCOMES: dict[str, dict[str, Any]] = {
    "p": {"verdict": "passed"},
    "w": {"verdict": "failed", "failing_case": {"call": "f(1)", "got": "1", "expected": "2"}},
    "i": {"verdict": "error", "error_type": "IndexError"},
    "t": {"verdict": "timeout", "error_type": "cpu_s"},
    "n": {"verdict": "error", "error_type": "NoProgram"},
    "a": {"verdict": "failed", "error_type": "AssertionError"},
}


def trajectory(outcomes: str, origin: Origin = "debugging", status: str | None = None) -> Trajectory:
    attempts = tuple(
        Attempt(
            iteration=i,
            program="",
            completion="",
            execution=Execution(trust="oracle", isolation="zygote", **OUTCOMES[letter]),
        )
        for i, letter in enumerate(outcomes)
    )
    status = status or ("passed" if "p" in outcomes else "unresolved")
    return Trajectory.model_validate(
        {"trajectory_id": outcomes, "task_id": outcomes, "attempts": attempts, "status": status, "origin": origin}
    )


def pair(**filters: tuple[bool, str]) -> PreferencePair:
    verdicts = tuple(FilterVerdict(name=name, kept=kept, reason=reason) for name, (kept, reason) in filters.items())
    return PreferencePair(
        pair_id="p",
        task_id="t",
        prompt="",
        chosen="",
        rejected="",
        chosen_spans=(),
        rejected_spans=(),
        diff="lines_lcs",
        diff_version=1,
        render_template="fenced_python",
        filters=verdicts,
    )


@pytest.mark.parametrize(
    ("outcomes", "rates"),
    [
        pytest.param(["p", "wp", "wip", "www"], [0.25, 0.5, 0.75], id="repairs"),
        pytest.param(["p"], [1.0, 1.0, 1.0], id="passed at once stays passed"),
        pytest.param(["ww", "w"], [0.0, 0.0, 0.0], id="never"),
        pytest.param(["pwp"], [1.0, 1.0, 1.0], id="broken again after a pass"),
        pytest.param(["wwwwp", "p"], [0.5, 0.5, 0.5], id="passed later than asked"),
        pytest.param([], [], id="no trajectories"),
    ],
)
def test_pass_rate_by_iteration(outcomes: list[str], rates: list[float]) -> None:
    for origin in ("debugging", "sampling"):
        assert pass_rate_by_iteration((trajectory(o, origin) for o in outcomes), 2) == rates


def test_calls_are_counted_up_to_the_pass() -> None:
    rows = iteration_rows([trajectory("p"), trajectory("wp"), trajectory("www"), trajectory("pw")])
    assert [(row.iteration, row.passed, row.calls) for row in rows] == [(0, 2, 4), (1, 3, 6), (2, 3, 7)]


def test_broken_tools_say_nothing_about_the_model() -> None:
    broken = trajectory("w", status="failed_tools")
    empty = trajectory("", status="failed_tools")
    assert pass_rate_by_iteration([trajectory("p"), broken, empty], 1) == [1.0, 1.0]
    assert tallied(KindTally(), [broken, empty]).rows == []


def test_pair_funnel_drops_at_the_first_filter() -> None:
    kept, long, comment = (True, ""), (False, "21 wrong lines"), (False, "only comments")
    rows = PairTally.of(
        [
            pair(comments=kept, removed_lines=kept),
            pair(comments=comment, removed_lines=long),  # counts once, at the first
            pair(comments=kept, removed_lines=long),
            pair(comments=kept, removed_lines=(False, "30 wrong lines")),
        ]
    ).funnel
    assert [(row.name, row.entered, row.dropped, row.left) for row in rows] == [
        ("comments", 4, 1, 3),
        ("removed_lines", 3, 2, 1),
    ]
    assert rows[0].reasons == {"only comments": 1}
    assert rows[1].reasons == {"21 wrong lines": 1, "30 wrong lines": 1}
    assert PairTally.of([]).funnel == []


def test_filter_that_nothing_reaches_is_still_a_row() -> None:
    rows = PairTally.of([pair(a=(False, "x"), b=(True, ""))]).funnel
    assert [(row.name, row.entered, row.dropped, row.left) for row in rows] == [("a", 1, 1, 0), ("b", 0, 0, 0)]


def test_error_types() -> None:
    trajectories = [trajectory(o) for o in ("iwp", "ww", "tin", "a", "p", "pi")]
    found = tallied(KindTally(), trajectories)
    assert found.rows == [
        ErrorRow("wrong output", first=1, all=3, unsolved=1),
        ErrorRow("IndexError", first=1, all=2, unsolved=0),
        ErrorRow("timeout", first=1, all=1, unsolved=0),
        ErrorRow("extraction", first=0, all=1, unsolved=1),
        ErrorRow("assertion", first=1, all=1, unsolved=1),
    ]
    # The last attempt of an unsolved task, where a kind has one; else the first that failed so.
    assert found.examples == {
        "IndexError": ("iwp", 0),
        "wrong output": ("ww", 1),
        "timeout": ("tin", 0),
        "extraction": ("tin", 2),
        "assertion": ("a", 0),
    }
