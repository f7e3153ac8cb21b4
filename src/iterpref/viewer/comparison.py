"""A `Matrix` of comparisons → Markdown for a terminal or a paper, and one static page with the programs.

The page lists, for each comparison, the first tasks won and lost, each with both programs and what their tests said;
nothing is loaded from elsewhere, and all texts are escaped and bounded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from iterpref.analysis.compare import Comparison, Entrant, Matrix
from iterpref.files import write_text

from .names import model_labels
from .numbers import interval, p_value, percent, points
from .rendering import static_page
from .sides import outcomes
from .texts import TextRoom

PAGE_BEGINS = "<!DOCTYPE html><!-- iterpref compare -->"  # by which a page is known that may be replaced
_MOST_ENTRANTS, _MOST_COMPARISONS, _MOST_LISTED = 12, 60, 30  # in a row; on the page; in its index
_MOST_TASKS = 200  # of the page, whose programs are on it; and at most half of them of one list
_TEXT, _LINES, _PAGE = 6_000, 150, 1_400_000  # characters and lines of one text, bytes of all on the page


def as_markdown(matrix: Matrix) -> str:
    """The pass@k of every entrant, then every pair with interval, p-values and counts."""
    head = ["benchmark", *matrix.entrants]
    rows = [
        [benchmark, *("–" if values[name] is None else percent(values[name] or 0.0) for name in matrix.entrants)]
        for benchmark, values in matrix.values.items()
    ]
    tables = [f"pass@{matrix.k}", "", *_table(head, rows), "", "Differences in points, second minus first", ""]
    bounds = f"{matrix.level:.0%} interval".replace("%", " %")
    head = ["benchmark", "first", "second", "difference", bounds, "McNemar p", "Holm p", "won", "lost", "both",
            "neither"]  # fmt: skip
    tables += _table(head, [_row(comparison) for comparison in matrix.comparisons])
    tables += ["", *(f"Not compared: {why}." for why in matrix.not_compared)] if matrix.not_compared else []
    return "\n".join(tables) + "\n"


def write_page(matrix: Matrix, entrants: Sequence[Entrant], path: Path) -> None:
    """Write the page, whole or not at all."""
    named, labels = {entrant.name: entrant for entrant in entrants}, model_labels(matrix.entrants)
    shown = matrix.comparisons[:_MOST_COMPARISONS]
    most = max(1, _MOST_TASKS // (2 * len(shown)))
    shown_tasks = [
        (c, outcomes(c, named[c.first].results[c.benchmark], named[c.second].results[c.benchmark], most, labels))
        for c in shown
    ]
    page = static_page(
        "comparison.html.jinja",
        TextRoom(_TEXT, _LINES, _PAGE),
        matrix=matrix,
        labels=labels,
        titles=[labels[name] for name in matrix.entrants[:_MOST_ENTRANTS]],
        whole_names=[(name, label) for name, label in labels.items() if name != label][:_MOST_COMPARISONS],
        shown_tasks=shown_tasks,
        sections=_sections(matrix, labels),
    )
    write_text(path, page.replace("<!DOCTYPE html>", PAGE_BEGINS, 1), errors="backslashreplace")


def _sections(matrix: Matrix, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    several = len(matrix.values) > 1
    found = [("scores", f"pass@{matrix.k}"), ("differences", "Differences")]
    for place, c in enumerate(matrix.comparisons[:_MOST_LISTED], start=1):
        found.append((f"c{place}", f"{labels[c.first]} → {labels[c.second]}{f', {c.benchmark}' if several else ''}"))
    return found


def _row(c: Comparison) -> list[str]:
    counts = [str(len(tasks)) for tasks in (c.won, c.lost, c.both, c.neither)]
    found = [points(c.difference), interval(c.low, c.high), p_value(c.mcnemar_p), p_value(c.holm_p)]
    return [c.benchmark, c.first, c.second, *found, *counts]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(head), line(["---"] * len(head)), *map(line, rows)]
