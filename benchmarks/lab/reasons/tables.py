"""Figures of measured arms → tables in Markdown and what is published; what is not finished says so."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.pages import NOT_RUN, Rows, filled, markdown, percent

from iterpref.files import write_text

from ..output import FIGURES as PLOTS
from ..output import PAGE
from ..records import PUBLISHED, write_lines
from ..statistics import Estimate
from ..tables import interval
from ..tables import tables as of_grid
from .charts import plots
from .figures import FIGURES, MARGINS, PARTS, WHERE, Measured
from .rule import AT_ONE_SETTING, GAPS, REASONS, Condition, outcome, verdict
from .traits import KINDS

ANSWERS = ("passed", "drawn", "most", "entropy", "programs", "right")
TASKS = ("lost", "lost_rare", "won", *KINDS.values(), "2_steps", "3_steps", "4_steps")


def tables(measured: Measured) -> dict[str, str]:
    """`GRID-TABLE` → Markdown."""
    name = measured.results.plan.grid.name
    makers = {"gaps": _gaps, "verdicts": _verdicts, "conditions": _conditions, "answers": _answers, "tasks": _tasks,
              "likelihoods": _likelihoods}  # fmt: skip
    grid = of_grid(measured.results)
    found = {f"{name}-{table}": make(measured) or NOT_RUN for table, make in makers.items()}
    return found | {key: grid[key] for key in (f"{name}-results", f"{name}-missing")}


def registered() -> str:
    """The reasons with their conditions, as docs/results.md has them before anything is run."""
    rows: Rows = []
    for reason in REASONS:
        expected = [f"{FIGURES[one.figure].says}: `{one.contrast}`" for one in reason.conditions]
        rows.append([reason.name, reason.says, "; ".join(expected)])
    return markdown(["reason", "which says that", "if so, these are over 0"], rows)


def write(measured: Measured, work: Path) -> None:
    """Into `work/GRID/`, and to be read at once."""
    folder = work / measured.results.plan.grid.name
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"## {table}\n\n{rows}\n\n" for table, rows in tables(measured).items())
    write_text(folder / "reasons.md", text)
    for plot, chart in plots(measured).items():
        write_text(folder / f"{plot}.svg", chart)
    print(text)


def publish(measured: Measured) -> None:
    """Tables into docs/results.md, plots into docs/figures, and the records into benchmarks/data/lab."""
    results, drawn = measured.results, plots(measured)
    name = results.plan.grid.name
    pictures = {f"{name}-{plot}-plot": f"![{plot}](figures/lab-{name}-{plot}.svg)" for plot in drawn}
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), tables(measured) | pictures))
    for plot, chart in drawn.items():
        write_text(PLOTS / f"lab-{name}-{plot}.svg", chart)
    write_lines(PUBLISHED / f"{name}.jsonl", [*results.records.values(), *results.made.values()])


def shown(figure: str, found: Estimate | None) -> str:
    """A difference with its interval: points of shares, else as it is."""
    if found is None:
        return "–"
    if FIGURES[figure].is_share:
        return interval(found)
    low, mean, high = (f"{value:+.3g}" for value in (found.low, found.mean, found.high))
    return f"{mean} [{low}, {high}]"


def _gaps(measured: Measured) -> str:
    found = [[domain, gap, measured.contrast(domain, gap, "passed")] for domain in measured.domains for gap in GAPS]
    rows: Rows = [[*place, shown("passed", estimate)] for *place, estimate in found if estimate is not None]
    return markdown(["domain", "difference", "pass@1, points [95 %]"], rows)


def _looked_at(measured: Measured, domain: str, conditions: Sequence[Condition]) -> list[Estimate | None]:
    return [measured.contrast(domain, condition.contrast, condition.figure) for condition in conditions]


def _verdicts(measured: Measured) -> str:
    rows: Rows = []
    for domain in measured.domains:
        gap = outcome(measured.contrast(domain, AT_ONE_SETTING, "passed"))
        for reason in REASONS:
            outcomes = [outcome(found) for found in _looked_at(measured, domain, reason.conditions)]
            if {*outcomes} != {"–"}:
                held = f"{outcomes.count('holds')} of {len(outcomes)}"
                rows.append([domain, reason.name, reason.says, held, verdict(reason, outcomes, gap)])
    return markdown(["domain", "reason", "which says that", "conditions that hold", "verdict"], rows)


def _conditions(measured: Measured) -> str:
    rows: Rows = []
    for domain in measured.domains:
        for reason in REASONS:
            found = _looked_at(measured, domain, reason.conditions)
            rows += [
                [domain, reason.name, condition.contrast, FIGURES[condition.figure].says,
                 shown(condition.figure, estimate), outcome(estimate)]
                for condition, estimate in zip(reason.conditions, found, strict=True) if estimate is not None
            ]  # fmt: skip
    return markdown(["domain", "reason", "expected over 0", "of", "found [95 %]", "condition"], rows)


def _means(measured: Measured, domain: str, arm: str, figures: Sequence[str]) -> list[str]:
    found = [measured.mean(domain, arm, figure) for figure in figures]
    return ["–" if value is None else percent(value) if FIGURES[figure].is_share else f"{value:.3g}"
            for figure, value in zip(figures, found, strict=True)]  # fmt: skip


def _by_arm(measured: Measured, figures: Sequence[str]) -> str:
    rows: Rows = []
    for domain in measured.domains:
        for arm in measured.results.plan.grid.arms:
            seeds = len(measured.of_seeds(domain, arm, figures[0]))
            if seeds:
                rows.append([domain, arm, seeds, *_means(measured, domain, arm, figures)])
    return markdown(["domain", "arm", "seeds", *(FIGURES[figure].says for figure in figures)], rows)


def _answers(measured: Measured) -> str:
    return _by_arm(measured, ANSWERS)


def _tasks(measured: Measured) -> str:
    return _by_arm(measured, TASKS)


def _likelihoods(measured: Measured) -> str:
    """Changes by the training in nats a pair, on both sets of pairs."""
    rows: Rows = []
    for domain in measured.domains:
        for arm in measured.results.plan.grid.arms:
            for where in WHERE:
                if measured.of_seeds(domain, arm, f"{where}_chosen"):
                    figures = [f"{where}_{name}" for name in (*PARTS, *MARGINS)]
                    rows.append([domain, arm, where, *_means(measured, domain, arm, figures)])
    heads = ["chosen", "its common lines", "D⁺", "D⁻", "rejected", "margin", "focal margin"]
    return markdown(["domain", "arm", "pairs", *heads], rows)
