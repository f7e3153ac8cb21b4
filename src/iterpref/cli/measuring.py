"""Commands that measure: evaluate, compare, report, doctor."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from iterpref.errors import IterPrefError

from .app import AsJson, FirstConfigFile, FirstOverrides, Models, NewRunOption, RunOption, verb
from .asking import Again, RetryDead, asking
from .opening import open_run
from .output import finish, say_markdown, with_causes, with_cut


@verb()
def evaluate(
    run: NewRunOption,
    config: FirstConfigFile = None,
    set_: FirstOverrides = None,
    as_json: AsJson = False,
    model: Models = None,
    samples: Annotated[
        list[Path] | None,
        Option(help="Score this file of completions (EvalPlus, BigCodeBench, LiveCodeBench); repeatable."),
    ] = None,
    sanitize: Annotated[bool, Option(help="Cut programs of --samples down to what they need first.")] = False,
    retry_dead: RetryDead = False,
    again: Again = False,
) -> None:
    """Measure pass@k of models, or of files of completions, on a benchmark.

    Reads the benchmark and the models. Writes a Result of each into the run, and results/ with its samples.
    Example: iterpref evaluate --run runs/a --set evaluation.benchmark=humaneval+ --samples samples.jsonl
    """
    with open_run(run, config, set_, makes=True) as opened, asking(opened, "evaluate", again, retry_dead) as asked:
        from iterpref import pipeline
        from iterpref.evaluation import count_refused

        default = (opened.config.evaluation.client or opened.config).model
        models = model or ([] if samples else [default])
        found = [pipeline.evaluate(asked, name) for name in models]
        found += [pipeline.evaluate(asked, default, path, sanitize) for path in samples or []]
    rows = []
    for result in found:
        counted = {"tasks": len({s.task_id for s in result.samples}), "broken": len(result.broken)}
        counted |= said_of_samples(result.settings)
        counted |= {"refused": refused} if (refused := count_refused(result)) else {}
        counted |= with_cut(result.cut_replies, "evaluation.sampling")
        rows.append(result.model_dump(include={"result_id", "benchmark", "model"}) | counted | result.metrics)
    broken = {task_id: cause for result in found for task_id, cause in result.broken.items()}
    summary = rows[0] if len(rows) == 1 else {"results": rows}
    finish(summary | with_causes("broken_tasks", broken), as_json)


def said_of_samples(settings: dict[str, Any]) -> dict[str, Any]:
    """Of a samples file: how many of its completions were left out, and whether its own verdicts are ours."""
    said = {"left_out": settings["left_out"]} if "left_out" in settings else {}
    if recorded := settings.get("recorded"):
        differ = recorded["differ"]
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        said |= {"recorded_verdicts": recorded["verdicts"], "agree": recorded["agree"]}
        said |= {"differ": ", ".join(differ[:5]) + more} if differ else {}
    return said


@verb()
def compare(
    sources: Annotated[
        list[Path], Argument(help="Results: results/ID.json files or run folders; of one run all its models.")
    ],
    k: Annotated[int, Option(help="Compare pass@k.")] = 1,
    level: Annotated[float, Option(help="Of the bootstrap intervals.")] = 0.95,
    seed: Annotated[int, Option(help="Of the bootstrap.")] = 0,
    markdown: Annotated[Path | None, Option(help="Also write the tables to this file.")] = None,
    html: Annotated[Path | None, Option(help="Also write a page with the programs they differ on.")] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace such files also if no comparison wrote them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare models task by task: differences with intervals, exact McNemar tests, tasks won and lost.

    Reads Results of the same benchmarks. Writes nothing unless asked to.
    Example: iterpref compare runs/a --html compared.html
    """
    from iterpref.analysis import compare_all, load_entrants
    from iterpref.doing import doing
    from iterpref.exporting import begins_with, check_file
    from iterpref.progress import ProgressBars
    from iterpref.viewer.comparison import PAGE_BEGINS, as_markdown, write_page

    for path, begins in ((markdown, "pass@"), (html, PAGE_BEGINS)):
        if path is not None:
            check_file(path, begins_with(begins), overwrite)
    with ProgressBars(), doing("comparing"):
        entrants = load_entrants(sources)
        matrix = compare_all(entrants, k, level, seed)
    text = as_markdown(matrix)
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
    if html is not None:
        write_page(matrix, entrants, html)
    if as_json:
        finish(matrix.model_dump(mode="json"), as_json)
    else:
        say_markdown(text)


@verb()
def report(run: RunOption, as_json: AsJson = False) -> None:
    """Write report.html: what the run did, with its numbers and example pairs, as one static page.

    Reads the run's records. Example: iterpref report --run runs/a
    """
    from iterpref.progress import ProgressBars
    from iterpref.store import Store
    from iterpref.viewer.report import write_report

    with ProgressBars(), Store.open(run, write=False) as store:
        path = write_report(store)
    finish({"report": str(path)}, as_json)


@verb()
def doctor(as_json: AsJson = False) -> None:
    """Say how well this machine can isolate programs, what blocks more, and how many it runs a second.

    Reads and writes nothing. Ends with status 1 where nothing better than resource limits works.
    Example: iterpref doctor
    """
    from iterpref.doing import doing
    from iterpref.progress import ProgressBars
    from iterpref.sandbox import RUNGS
    from iterpref.sandbox.doctor import examine
    from iterpref.sandbox.surroundings import WITH_NAMESPACES, around_us

    found = []
    with ProgressBars():
        for rung in RUNGS:
            with doing(f"trying {rung}"):
                found.append(examine(rung))
    used = next(finding.isolation for finding in found if not finding.blocked)
    rows = [{"rung": f.isolation, "executions_per_s": f.executions_per_s, "blocked": f.blocked or "no",
             **({"breaks": "; ".join(f.breaks)} if f.breaks else {})} for f in found]  # fmt: skip
    withheld = used not in WITH_NAMESPACES
    finish({"isolation": used, "rungs": rows, **(around_us() if withheld else {})}, as_json)
    if used == "rlimits":
        raise IterPrefError("programs can't be isolated here; `blocked` above says what would allow it")
