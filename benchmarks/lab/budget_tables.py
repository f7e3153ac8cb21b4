"""Curves of debugging and of draws over seeds → tables in Markdown and plots; see budget_curves.py for the records.

Every figure is a mean over seeds; a comparison is made seed by seed, with the interval of statistics.py.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.pages import NOT_RUN, Rows, filled, markdown, percent

from iterpref.files import write_text

from .charts import curves
from .output import FIGURES, PAGE
from .records import PUBLISHED, Record, write_lines
from .statistics import estimate
from .tables import interval, points

BUDGETS = {"calls": "calls", "tokens": "tokens, prompt and answer"}
SOLVING, PAIRING = ("debugging", "draws"), ("debugging", "all draws")


def tables(name: str, records: Sequence[Record]) -> dict[str, str]:
    """`GRID-curves-TABLE` → Markdown."""
    makers = {"solved": _solved, "pairs": _pairs, "unsolved": _unsolved}
    return {f"{name}-curves-{table}": make(_by_domain(records)) or NOT_RUN for table, make in makers.items()}


def plots(name: str, records: Sequence[Record]) -> dict[str, str]:
    """`GRID-curves-WHAT-BUDGET-DOMAIN` → SVG."""
    made = {}
    for domain, found in _by_domain(records).items():
        for budget, said in BUDGETS.items():
            for what, ways in (("solved", SOLVING), ("pairs", PAIRING)):
                lines = {way: _mean_points(found, way, budget, what) for way in ways}
                title = f"tasks solved, %, {domain}" if what == "solved" else f"pairs of a seed, {domain}"
                made[f"{name}-curves-{what}-{budget}-{domain}"] = curves(f"{title}, over all {said}", lines)
    return made


def write(name: str, records: Sequence[Record], work: Path) -> None:
    """Into `work/GRID/`, and to be read at once."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    made = tables(name, records)
    text = "".join(f"## {table}\n\n{rows}\n\n" for table, rows in made.items())
    write_text(folder / "curves.md", text)
    for plot, chart in plots(name, records).items():
        write_text(folder / f"{plot.removeprefix(f'{name}-')}.svg", chart)
    print(text)


def publish(name: str, records: Sequence[Record]) -> None:
    """Tables into docs/results.md, the plots that it shows into docs/figures, and records into benchmarks/data/lab."""
    drawn = plots(name, records)
    pictures = {f"{plot}-plot": f"![{plot}](figures/lab-{plot}.svg)" for plot in drawn}
    page = filled(PAGE.read_text(encoding="utf-8"), tables(name, records) | pictures)
    write_text(PAGE, page)
    for plot, chart in drawn.items():
        if f"figures/lab-{plot}.svg" in page:
            write_text(FIGURES / f"lab-{plot}.svg", chart)
    write_lines(PUBLISHED / f"{name}-curves.jsonl", records)


def value_at(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """A curve through (0, 0) and its points at x, straight between them: as if tasks came in any order. `xs` rise."""
    before = (0.0, 0.0)
    for point in zip(xs, ys, strict=True):
        if x <= point[0]:
            share = (x - before[0]) / (point[0] - before[0]) if point[0] > before[0] else 1.0
            return before[1] + share * (point[1] - before[1])
        before = point
    return before[1]


def _by_domain(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["what"]["domain"], []).append(record)
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _interval(records: Sequence[Record], values: Sequence[float]) -> str:
    """A mean over seeds with bases as blocks; without an interval where one seed a base says nothing of the noise."""
    blocks: dict[int, list[float]] = {}
    for record, value in zip(records, values, strict=True):
        blocks.setdefault(record["base"], []).append(value)
    sizes = {len(block) for block in blocks.values()}
    if len(sizes) > 1 or min(sizes) < 2:
        return f"{points(_mean(values))} (no interval)"
    return interval(estimate(blocks))


def _mean_points(records: Sequence[Record], way: str, budget: str, what: str) -> list[tuple[float, float]]:
    """(spent, made) after each repair or draw, means over seeds; tasks in percent."""
    curves_of = [record["curves"][way] for record in records]
    scale = 100 / records[0]["tasks"] if what == "solved" else 1.0
    spent, made = (
        [_mean(column) for column in zip(*(c[name] for c in curves_of), strict=True)] for name in (budget, what)
    )
    return [(0.0, 0.0), *zip(spent, (scale * value for value in made), strict=True)]


def at_smaller_total(record: Record, budget: str) -> list[float]:
    """Of debugging and of draws, the share of a seed's tasks solved when the one that spends less has spent all."""
    found = [record["curves"][way] for way in SOLVING]
    least = min(curve[budget][-1] for curve in found)
    return [value_at(curve[budget], curve["solved"], least) / record["tasks"] for curve in found]


def for_as_many_pairs(record: Record, budget: str) -> list[float]:
    """What debugging and all draws spend until there are as many pairs as the one that makes fewer makes in all."""
    found = [record["curves"][way] for way in PAIRING]
    least = min(curve["pairs"][-1] for curve in found)
    return [value_at(curve["pairs"], curve[budget], least) for curve in found]


def _solved(domains: Mapping[str, Sequence[Record]]) -> str:
    rows: Rows = []
    for domain, records in domains.items():
        for budget, said in BUDGETS.items():
            totals = [_mean([record["curves"][way][budget][-1] for record in records]) for way in SOLVING]
            debugged, drawn = zip(*(at_smaller_total(record, budget) for record in records), strict=True)
            ahead = [first - second for first, second in zip(debugged, drawn, strict=True)]
            rows.append([domain, said, len(records), *(f"{total:,.0f}" for total in totals), percent(_mean(debugged)),
                         percent(_mean(drawn)), _interval(records, ahead)])  # fmt: skip
    return markdown(["domain", "budget", "seeds", "all of debugging", "all draws until one passes",
                     "solved by debugging at the smaller of both, %", "by draws, %", "difference, points [95 %]"],
                    rows)  # fmt: skip


def _pairs(domains: Mapping[str, Sequence[Record]]) -> str:
    rows: Rows = []
    for domain, records in domains.items():
        counts = [_mean([record["curves"][way]["pairs"][-1] for record in records]) for way in PAIRING]
        for budget, said in BUDGETS.items():
            spent = zip(*(for_as_many_pairs(record, budget) for record in records), strict=True)
            rows.append([domain, said, len(records), *(f"{count:,.0f}" for count in counts),
                         *(f"{_mean(column):,.0f}" for column in spent)])  # fmt: skip
    return markdown(["domain", "budget", "seeds", "pairs of debugging", "pairs of all draws",
                     "debugging spends for the smaller number of both", "draws spend"], rows)  # fmt: skip


def _unsolved(domains: Mapping[str, Sequence[Record]]) -> str:
    """Of the tasks that one way leaves, the share that the other solves, as in the paper's Table 6."""
    rows: Rows = []
    for domain, records in domains.items():
        for left, other in (("by debugging", "draws"), ("by draws", "debugging")):
            rest = [record["unsolved"][left] for record in records]
            tasks = sum(one["tasks"] for one in rest)
            columns = zip(*(one["solved"] for one in rest), strict=True)
            shares = [percent(sum(column) / tasks) if tasks else "–" for column in columns]
            rows.append([domain, left, len(records), tasks, other, " ".join(shares)])
    return markdown(["domain", "tasks left unsolved", "seeds", "tasks of all seeds", "then tried by",
                     "solved within 1, 2, … of its programs, %"], rows)  # fmt: skip
