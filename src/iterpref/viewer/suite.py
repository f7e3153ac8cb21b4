"""A `SuiteTable` → Markdown for people, LaTeX for a paper: the form of arXiv:2503.02783, Table 1."""

from collections.abc import Iterator

from iterpref.analysis.suite import PAPER_COLUMNS, Difference, SuiteRow, SuiteTable
from iterpref.viewer.numbers import MINUS, interval, points

MARKDOWN_BEGINS, LATEX_BEGINS = "| model |", "% iterpref suite"  # by which a file is known that may be replaced
_AVERAGE = "Avg"
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
)


def as_markdown(table: SuiteTable) -> str:
    """One row a model; below it the difference from the baseline with its interval, in points."""
    head = ["model", *map(column, table.benchmarks), _AVERAGE]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in table.rows:
        lines.append(_line([_shown(row.model), *_cells(table, row)]))
        if row.model != table.baseline:
            lines.append(_line(["", *_differences(table, row)]))
    said = [*_notes(table), *(f"{why}." for why in _missing(table))]
    return "\n".join([*lines, "", *(f"- {note}" for note in said)]) + "\n"


def as_latex(table: SuiteTable) -> str:
    r"""A `tabular` with the rules of `booktabs`; the best of each column is bold."""
    best = _best(table)
    head = ["Model", *map(column, table.benchmarks), _AVERAGE]
    lines = [LATEX_BEGINS, f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", "\\toprule"]
    lines += [" & ".join(map(_escaped, head)) + r" \\", "\\midrule"]
    for row in table.rows:
        cells = [f"\\textbf{{{cell}}}" if cell == top and cell != "–" else cell
                 for cell, top in zip(_cells(table, row), best, strict=True)]  # fmt: skip
        lines.append(" & ".join([_escaped(row.model), *(cell.replace("–", "--") for cell in cells)]) + r" \\")
        if row.model != table.baseline:
            small = [f"{{\\scriptsize {_dashes(text)}}}" for text in _differences(table, row)]
            lines.append(" & ".join(["", *small]) + r" \\")
    notes = [f"% {note}" for note in (*_notes(table), *_missing(table))]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", *map(_dashes, notes)]) + "\n"


def column(benchmark: str) -> str:
    """The paper's name of a benchmark, or its own."""
    return PAPER_COLUMNS.get(benchmark, benchmark.rsplit("/", 1)[-1])


def _cells(table: SuiteTable, row: SuiteRow) -> list[str]:
    return [_percent(value) for value in (*(row.values[name] for name in table.benchmarks), row.average)]


def _differences(table: SuiteTable, row: SuiteRow) -> list[str]:
    found = [row.differences.get(name) for name in table.benchmarks]
    return [_difference(difference) for difference in (*found, row.average_difference)]


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    return f"{points(difference.value)} ({interval(difference.low, difference.high)})"


def _best(table: SuiteTable) -> list[str]:
    columns = zip(*(_cells(table, row) for row in table.rows), strict=True)
    return [max(cells, key=lambda cell: -1.0 if cell == "–" else float(cell)) for cells in columns]


def _notes(table: SuiteTable) -> Iterator[str]:
    tasks = ", ".join(f"{column(name)} {count}" for name, count in table.tasks.items())
    yield f"pass@{table.k} in percent; tasks: {tasks}"
    if len(table.rows) > 1:
        yield (
            f"below a row: points over {table.baseline} with the {table.level:.0%} interval of a paired bootstrap over "
            "tasks"
        ).replace("%", " %")
    if table.broken:
        left = ", ".join(f"{column(name)} {count}" for name, count in table.broken.items())
        yield f"left out, because their own solution fails on this machine: {left}"


def _missing(table: SuiteTable) -> list[str]:
    """Why cells are empty, a line each: a server's last words may be many, and of LaTeX only one would be a comment."""
    return [" ".join(why.split()) for why in table.missing]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(model: str) -> str:
    return model.replace("|", "\\|")


def _escaped(text: str) -> str:
    return text.translate(_LATEX)


def _dashes(text: str) -> str:
    return text.replace(MINUS, "$-$").replace("–", "--")
