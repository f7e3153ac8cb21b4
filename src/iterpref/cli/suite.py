"""The command that puts models on a list of benchmarks into one table: suite."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from iterpref.errors import ConfigError, IterPrefError
from iterpref.files import write_text

from .app import AsJson, FirstConfigFile, FirstOverrides, Models, NewRunOption, verb
from .asking import Again, RetryDead, asking
from .opening import Repeatable, open_run
from .output import finish, say_markdown

if TYPE_CHECKING:
    from iterpref.config import Config
    from iterpref.evaluation import SuiteCell


@verb()
def suite(
    run: NewRunOption,
    config: FirstConfigFile = None,
    set_: FirstOverrides = None,
    as_json: AsJson = False,
    model: Models = None,
    benchmark: Annotated[
        Repeatable, Option(help="Only this benchmark; repeatable; default: suite.benchmarks, else the paper's nine.")
    ] = None,
    baseline: Annotated[
        str | None, Option(help="The model that the others are compared with; default: the first.")
    ] = None,
    level: Annotated[float, Option(help="Of the bootstrap intervals.")] = 0.95,
    markdown: Annotated[Path | None, Option(help="Also write the table to this file.")] = None,
    latex: Annotated[Path | None, Option(help="Also write it as LaTeX to this file.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace such files also if no suite wrote them.")] = False,
    retry_dead: RetryDead = False,
    again: Again = False,
) -> None:
    """Measure models on a list of benchmarks: one table in the form of the paper's Table 1, with paired intervals.

    Reads the benchmarks and the models. Writes a Result of each pair into the run; run again to go on or to see the
    table. Ends with status 1 while cells are empty.
    Example: iterpref suite --run runs/a --model Qwen/Qwen2.5-Coder-7B --model target_rpo --benchmark humaneval+
    """
    _check_files(markdown, latex, overwrite)
    if not 0 < level < 1:
        raise ConfigError(f"--level {level:g}: expected a share between 0 and 1, as 0.95")
    with open_run(run, config, set_, makes=True) as opened, asking(opened, "evaluate", again, retry_dead) as asked:
        from iterpref.evaluation import evaluate_suite, suite_settings

        settings = suite_settings(opened.config.evaluation, _benchmarks(opened.config, benchmark))
        models = model or [(opened.config.evaluation.client or opened.config).model]
        names = _names(models)
        first = _baseline(baseline, models, names)
        cells = list(evaluate_suite(asked, models, settings))
    _show(cells, dict(zip(models, names, strict=True)), list(settings), first, level, markdown, latex, as_json)


def _show(
    cells: "Sequence[SuiteCell]",
    names: dict[str, str],
    benchmarks: list[str],
    baseline: str,
    level: float,
    markdown: Path | None,
    latex: Path | None,
    as_json: bool,
) -> None:
    from iterpref.analysis.suite import suite_table
    from iterpref.viewer.suite import as_latex, as_markdown

    found: dict[str, dict[str, Any]] = {name: {} for name in names.values()}
    reasons: dict[str, list[str]] = {}
    for cell in cells:
        if cell.result is not None:
            found[names[cell.model]][cell.benchmark] = cell.result
        else:
            reasons.setdefault(cell.why, []).append(f"{names[cell.model]} on {cell.benchmark}")
    missing = [f"{', '.join(places)}: {why}" for why, places in reasons.items()]
    table = suite_table(found, benchmarks, baseline, level=level, missing=missing)
    for path, write in ((markdown, as_markdown), (latex, as_latex)):
        if path is not None:
            write_text(path, write(table))
    if as_json:
        finish(table.model_dump(mode="json"), as_json)
    else:
        say_markdown(as_markdown(table))
    empty = sum(len(places) for places in reasons.values())
    if empty:
        raise IterPrefError(f"{empty} of {len(cells)} cells are empty; run the same command again to fill them")


def _check_files(markdown: Path | None, latex: Path | None, overwrite: bool) -> None:
    from iterpref.exporting import begins_with, check_file
    from iterpref.viewer.suite import LATEX_BEGINS, MARKDOWN_BEGINS

    for path, begins in ((markdown, MARKDOWN_BEGINS), (latex, LATEX_BEGINS)):
        if path is not None:
            check_file(path, begins_with(begins), overwrite)


def _benchmarks(config: "Config", asked: Repeatable) -> dict[str, dict[str, Any]]:
    """The asked ones, each as the settings or the paper's suite have it; else all of these."""
    from iterpref.config.suites import PAPER_SUITE

    known = config.suite.benchmarks or PAPER_SUITE
    every = {**PAPER_SUITE, **config.suite.benchmarks}
    return {name: every.get(name, {}) for name in asked} if asked else known


def _names(models: Sequence[str]) -> list[str]:
    """What rows are called: of a folder its last part, where that tells them apart."""
    if len(set(models)) < len(models):
        raise ConfigError(f"--model: {', '.join(models)} name a model twice; expected each once")
    short = [Path(model).resolve().name if Path(model).is_dir() else model for model in models]
    return short if len(set(short)) == len(short) else list(models)


def _baseline(asked: str | None, models: Sequence[str], names: Sequence[str]) -> str:
    if asked is None:
        return names[0]
    if asked in models:
        return names[list(models).index(asked)]
    if asked in names:
        return asked
    raise ConfigError(f"--baseline {asked}: not among the models; expected one of {', '.join(models)}")
