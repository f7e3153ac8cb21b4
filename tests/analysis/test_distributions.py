"""Histograms and categories, with counts written out."""

import pytest

from iterpref.analysis.distributions import by_size, by_tenths, categories, coverage, differences
from iterpref.records import PreferencePair, Span, TestQuality, merged
from iterpref.synthesis.features import load_tree


def quality(line: float | None, branch: float | None = None, mutants: int = 0, killed: int = 0) -> TestQuality:
    return TestQuality(
        task_id="t", tests_hash="h", program_hash="p", repeats=1, repeats_passed=1, line_coverage=line,
        branch_coverage=branch, mutants=mutants, mutants_killed=killed,
    )  # fmt: skip


def test_coverage_by_tenths() -> None:
    line, branch, score = coverage(
        [quality(1.0, 0.5, 4, 3), quality(0.99, 0.55), quality(0.05), quality(None), quality(0.1)]
    )
    assert (line.name, line.values, line.mean, line.median) == ("line coverage", 4, pytest.approx(0.535), 0.545)
    assert dict(line.bins) | {"0–10": 1, "10–20": 1, "90–100": 2} == dict(line.bins)
    assert sum(count for _, count in line.bins) == 4 and len(line.bins) == 10
    assert dict(branch.bins)["50–60"] == 2 and dict(score.bins)["70–80"] == 1


def test_nothing_measured() -> None:
    assert coverage([]) == [] and coverage([quality(None)]) == [] and differences([]) == [] and categories({}) == []


def test_sizes_have_growing_bins() -> None:
    found = by_size("lines", [0, 1, 1, 5, 6, 10, 11, 51])
    assert dict(found.bins) == {
        "0": 1, "1": 2, "2": 0, "3": 0, "4": 0, "5": 1, "6–10": 2, "11–20": 1, "21–50": 0, "≥ 51": 1,
    }  # fmt: skip
    assert [label for label, _ in by_size("lines", [0, 2]).bins] == ["0", "1", "2"]
    assert dict(by_size("characters", [7, 300, 2000]).bins)["≥ 1001"] == 1


def test_shares_below_and_at_one() -> None:
    assert [count for _, count in by_tenths("x", [0.0, 0.0999, 1.0]).bins] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("spans", "lengths"),
    [
        pytest.param([(0, 5), (5, 9), (12, 20)], [9, 8], id="two lines in a row, one apart"),
        pytest.param([(0, 5)], [5], id="at the beginning"),
        pytest.param([], [], id="only insertions"),
    ],
)
def test_runs(spans: list[tuple[int, int]], lengths: list[int]) -> None:
    assert [stop - start for start, stop in merged(Span(start=a, stop=b) for a, b in spans)] == lengths


def test_differences_of_pairs() -> None:
    pair = PreferencePair(
        pair_id="p", task_id="t", prompt="p", chosen="a\nx\ny\nd", rejected="a\nb\nc\nd", diff="lcs", diff_version=1,
        chosen_spans=(Span(start=2, stop=4), Span(start=4, stop=6)),
        rejected_spans=(Span(start=2, stop=4), Span(start=4, stop=6)), render_template="plain",
    )  # fmt: skip
    inserted = pair.model_copy(update={"rejected_spans": ()})
    found = {d.name: d for d in differences([pair, inserted])}
    assert dict(found["wrong lines (D⁻) per pair"].bins) == {"0": 1, "1": 0, "2": 1}
    assert dict(found["runs of wrong lines per pair"].bins) == {"0": 1, "1": 1}
    assert found["characters per run of wrong lines"].mean == 4
    assert found["share of the rejected text that is wrong"].mean == pytest.approx(4 / 7 / 2)


def test_categories_of_a_tree() -> None:
    rows = categories({"a": 3.0, "a---x": 2.0, "a---x---y": 1.0, "b": 9.0, "b---z": 9.0})
    assert [(row.name, row.features, row.share, row.frequency) for row in rows] == [
        ("a", 2, pytest.approx(2 / 3), 3.0),
        ("b", 1, pytest.approx(1 / 3), 9.0),
    ]


def test_the_tree_of_this_package_has_the_papers_21_categories() -> None:
    rows = categories(load_tree().counts())
    assert len(rows) == 21 and sum(row.share for row in rows) == pytest.approx(1.0)
