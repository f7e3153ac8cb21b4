"""Results of a grid → tables, plots and a page in the work folder; with `publish` in the repository's docs and data.

The page in docs/results.md is written by people; only what stands between its marks comes from here.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.pages import filled

from iterpref.files import write_text
from iterpref.viewer.rendering import environment
from iterpref.viewer.texts import TextRoom

from .charts import charts
from .records import PUBLISHED, write_lines
from .results import Results
from .tables import decisions, tables

ROOT = Path(__file__).parents[2]
PAGE, FIGURES = ROOT / "docs" / "results.md", ROOT / "docs" / "figures"
TITLES = {
    "results": "Results",
    "tests": "Registered tests",
    "rates": "Choice of rates and lengths",
    "power": "Power",
    "kinds": "Kinds of failure",
    "debugging": "What the pairs were made of",
    "rounds": "Rounds",
    "missing": "Missing cells",
}


def write_results(results: Results, work: Path) -> Path:
    """`work/GRID/`: tables.md, the plots, and page.html, whose path is returned."""
    folder = work / results.plan.grid.name
    folder.mkdir(parents=True, exist_ok=True)
    made, drawn = tables(results), charts(results)
    write_text(folder / "tables.md", "".join(f"## {name}\n\n{table}\n\n" for name, table in made.items()))
    for name, chart in drawn.items():
        write_text(folder / f"{name}.svg", chart)
    page = folder / "page.html"
    write_text(page, _page(results, made, drawn))
    return page


def _page(results: Results, made: Mapping[str, str], drawn: Mapping[str, str]) -> str:
    grid = results.plan.grid
    shown = {name: _cells(made[f"{grid.name}-{name}"]) for name in TITLES}
    template = Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8")
    return (
        environment()
        .from_string(template)
        .render(
            grid=grid,
            decisions=decisions(results),
            titles=list(TITLES.items()),
            tables=shown,
            charts=list(drawn.values()),
            room=TextRoom(),
        )
    )


def _cells(table: str) -> list[list[str]] | str:
    """A table of ours in Markdown as rows of cells, without the line under its head; other text as it is."""
    lines = table.split("\n")
    if not table.startswith("| "):
        return table.strip("*")
    rows = [line[2:-2].replace("\\|", "¦").split(" | ") for line in lines if line.startswith("| ")]
    return [rows[0], *rows[2:]]


def publish(results: Results) -> None:
    """Tables into docs/results.md, the plots that it shows into docs/figures, and records into benchmarks/data/lab."""
    name = results.plan.grid.name
    drawn = {f"lab-{name}-{plot}.svg": (plot, chart) for plot, chart in charts(results).items()}
    pictures = {f"{name}-{plot}-plot": f"![{plot}](figures/{file})" for file, (plot, _) in drawn.items()}
    page = filled(PAGE.read_text(encoding="utf-8"), tables(results) | pictures)
    write_text(PAGE, page)
    for file, (_, chart) in drawn.items():
        if f"figures/{file}" in page:
            write_text(FIGURES / file, chart)
    write_lines(PUBLISHED / f"{name}.jsonl", [*results.records.values(), *results.made.values()])
