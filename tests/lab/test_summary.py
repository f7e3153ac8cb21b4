"""The answer in short: it is what the published records say, and claims no more than the plan allows."""

from pathlib import Path

import pytest
from benchmarks.lab import summary
from benchmarks.lab.checks import load_grid
from benchmarks.lab.domains import BASES
from benchmarks.lab.output import PAGE, ROOT
from benchmarks.lab.plan import Plan
from benchmarks.lab.records import Records
from benchmarks.lab.results import Results, Test
from benchmarks.lab.statistics import estimate


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    records = Records(tmp_path_factory.mktemp("published"))
    records.take()
    return [Results.of(Plan.of(load_grid(name), BASES), records) for name in summary.GRIDS]


def test_page_and_readme_say_what_the_published_records_say(published: list[Results]) -> None:
    scores = summary.scores_table(published)
    assert len(scores.splitlines()) == 2 + len(summary.ARMS) and "| SFT on the fixes | 7" in scores
    for page in (PAGE, ROOT / "README.md"):
        assert scores in page.read_text(encoding="utf-8"), f"{page}: run python -m benchmarks.lab.summary --publish"
    assert summary.tests_table(published) in PAGE.read_text(encoding="utf-8")
    assert summary.picture(published) == (ROOT / "docs" / "figures" / summary.FIGURE).read_text(encoding="utf-8")


def decided(mean: float, adjusted: float) -> Test:
    return Test("any", "losses", "ours", "theirs", estimate({0: [mean - 0.01, mean + 0.01]}), adjusted)


@pytest.mark.parametrize(
    ("steps", "objects", "says"),
    [
        (decided(0.1, 0.01), decided(0.2, 0.04), "ours is better"),
        (decided(-0.1, 0.01), decided(-0.2, 0.04), "theirs is better"),
        (decided(0.1, 0.01), decided(-0.2, 0.04), "it depends on the domain"),
        (decided(0.1, 0.06), decided(0.2, 0.04), "of objects only: ours is better"),
        (decided(0.1, 0.06), decided(0.2, 0.05), "undecided"),
        (decided(0.1, 0.01), None, "nothing yet: objects is not run"),
        (None, None, "nothing yet: steps, objects are not run"),
    ],
)
def test_a_claim_needs_both_domains(steps: Test | None, objects: Test | None, says: str) -> None:
    assert summary.claim({"steps": steps, "objects": objects}) == says


def test_publishing_fills_a_page_and_leaves_the_rest_of_it(published: list[Results], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- table in-short-scores -->\n<!-- end -->\n\nAfter.\n")
    summary.publish(published, [page], tmp_path)
    text = page.read_text()
    assert text.startswith("Before.\n\n<!-- table in-short-scores -->\n\n| way to train |") and text.endswith(
        "\n\nAfter.\n"
    )
    assert "in-short-tests" not in text and (tmp_path / summary.FIGURE).read_text().startswith("<svg")
