"""A `Matrix` of comparisons → Markdown for a terminal or a paper, and one static page with the programs.

The page lists, for each comparison, the tasks won and lost, each with both programs and what their tests said; nothing
is loaded from elsewhere and all texts are escaped.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from iterpref.analysis.compare import Comparison, Entrant, Matrix
from iterpref.files import write_text
from iterpref.viewer.charts import percent
from iterpref.viewer.report import environment, p_value, points

PAGE_BEGINS = "<!DOCTYPE html><!-- iterpref compare -->"  # by which a page is known that may be replaced
MOST_SHOWN = 200  # tasks of a list whose programs are on the page


def as_markdown(matrix: Matrix) -> str:
    """The pass@k of every entrant, then every pair with interval, p-values and counts."""
    head = ["benchmark", *matrix.entrants]
    rows = [
        [benchmark, *("–" if values[name] is None else percent(values[name] or 0.0) for name in matrix.entrants)]
        for benchmark, values in matrix.values.items()
    ]
    tables = [f"pass@{matrix.k}", "", *_table(head, rows), "", "Differences in points, second minus first", ""]
    interval = f"{matrix.level:.0%} interval".replace("%", " %")
    head = ["benchmark", "first", "second", "difference", interval, "McNemar p", "Holm p", "won", "lost", "both",
            "neither"]  # fmt: skip
    tables += _table(head, [_row(comparison) for comparison in matrix.comparisons])
    tables += ["", *(f"Not compared: {why}." for why in matrix.not_compared)] if matrix.not_compared else []
    return "\n".join(tables) + "\n"


def write_page(matrix: Matrix, entrants: Sequence[Entrant], path: Path) -> None:
    """Write the page, whole or not at all."""
    outcome = partial(_outcome, {entrant.name: entrant for entrant in entrants})
    page = environment().get_template("comparison.html.jinja").render(matrix=matrix, outcome=outcome, most=MOST_SHOWN)
    page = page.lstrip().replace("<!DOCTYPE html>", PAGE_BEGINS, 1)
    write_text(path, page, errors="backslashreplace")


def _outcome(entrants: Mapping[str, Entrant], benchmark: str, name: str, task_id: str) -> tuple[str, str]:
    """A program of an entrant for a task and what its tests said."""
    sample = next(s for s in entrants[name].results[benchmark].samples if s.task_id == task_id)
    return sample.program, "passed" if sample.execution.passed else sample.execution.text or sample.execution.verdict


def _row(c: Comparison) -> list[str]:
    counts = [str(len(tasks)) for tasks in (c.won, c.lost, c.both, c.neither)]
    interval = f"{points(c.low)} to {points(c.high)}"
    return [c.benchmark, c.first, c.second, points(c.difference), interval, p_value(c.mcnemar_p), p_value(c.holm_p),
            *counts]  # fmt: skip


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(head), line(["---"] * len(head)), *map(line, rows)]
