"""Commands that make trajectories: import, synthesize, debug, merge, validate, revise, export."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option
from typer.core import TyperCommand

from iterpref.errors import IterPrefError

from .app import (
    AsJson,
    ConfigFile,
    FirstConfigFile,
    FirstOverrides,
    NewRunOption,
    Overrides,
    RunOption,
    app,
    finish,
)
from .opening import Repeatable, must_exist, open_run, resolve


@app.command("import")
def import_(
    source: Annotated[str, Argument(help="File (JSONL, JSON, CSV, Parquet), folder of such files, or hub dataset id.")],
    run: NewRunOption,
    config: FirstConfigFile = None,
    set_: FirstOverrides = None,
    as_json: AsJson = False,
    column: Annotated[Repeatable, Option(help="Column of pairs or tasks, as prompt=instruction; repeatable.")] = None,
) -> None:
    """Read tasks, recorded debugging runs, or existing preference pairs into a run.

    Programs of recorded runs are executed again and compared with their recorded verdicts. Writes tasks, trajectories
    or pairs; import again to continue.
    With --column tests=NAME the source holds tasks under any column names.
    Example: iterpref import pairs.jsonl --run runs/a --column prompt=instruction
    """
    from iterpref.pipeline import import_source

    columns = dict(pair.split("=", 1) for pair in column or [] if "=" in pair)
    if len(columns) != len(column or []):
        raise IterPrefError(f"--column {column}: expected name=column once per name, for example prompt=instruction")
    with open_run(run, config, set_, makes=True) as opened:
        finish(import_source(opened, source, columns), as_json)


@app.command()
def synthesize(
    run: NewRunOption, config: FirstConfigFile = None, set_: FirstOverrides = None, as_json: AsJson = False
) -> None:
    """Let a model draft tasks with tests, steered by a feature tree or by code of yours.

    Reads the tree and snippets of the config. Writes tasks; run again to continue, at no cost for what was drafted.
    Example: iterpref synthesize --run runs/a -c recipes/codeflow/teacher.yaml
    """
    from iterpref import pipeline

    with open_run(run, config, set_, makes=True) as opened:
        finish(asdict(pipeline.synthesize(opened)), as_json)


@app.command()
def debug(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    retry_dead: Annotated[bool, Option(help="Make calls again that were given up earlier.")] = False,
    shard: Annotated[str | None, Option(help="Only this part of the tasks, as 3/16, in shards/.")] = None,
    estimate: Annotated[bool, Option(help="Only say what calls and US dollars it would take.")] = False,
) -> None:
    """Run each program, show the model what failed, ask for a fix; stop when it passes.

    Reads the run's tasks. Writes calls, executions and trajectories; run again to continue.
    Example: iterpref debug --run runs/a --set debugging.max_iterations=5
    """
    from iterpref import pipeline
    from iterpref.debugging.estimate import estimate_debugging
    from iterpref.debugging.shards import debug_shard
    from iterpref.parallel import Shard
    from iterpref.progress import ProgressBars
    from iterpref.store import Store

    if shard:
        must_exist(run)
        part, resolved = Shard.parse(shard), resolve(run, config, set_)
        if retry_dead:
            with Store.open(part.folder(run)) as store:
                store.forget_dead_letters()
        with ProgressBars() as bars:
            progress = debug_shard(run, resolved, part, bars)
    else:
        with open_run(run, config, set_, write=not estimate) as opened:
            if estimate:
                finish(estimate_debugging(opened), as_json)
                return
            if retry_dead:
                opened.store.forget_dead_letters()
            progress = pipeline.debug(opened)
    total, failed = progress.total, progress.failed_tools
    rates = [round(rate, 4) for rate in progress.pass_rates]
    counts = {"tasks": total, "passed": sum(progress.passed), "failed_tools": failed}
    finish(counts | {"pass_rate_by_iteration": rates}, as_json)
    if failed:
        raise IterPrefError(f"{failed} of {total} tasks could not be debugged; first: {progress.errors[0]}")


@app.command()
def merge(
    run: RunOption,
    as_json: AsJson = False,
    mixed: Annotated[bool, Option("--mixed", help="Also shards that were made with different settings.")] = False,
) -> None:
    """Bring the shards of a run together; refuses shards that were made with different settings.

    Reads shards/. Writes calls, executions and trajectories into the run; merge again after more shards.
    Example: iterpref merge --run runs/a
    """
    from iterpref.debugging.shards import merge_shards
    from iterpref.store import Store

    must_exist(run)
    with Store.open(run) as store:
        finish(merge_shards(store, mixed=mixed), as_json)


@app.command()
def validate(run: RunOption, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Measure how far the tests can be trusted: repeats, trivially wrong programs, coverage, planted faults.

    Reads tasks and the programs that pass them. Writes test qualities, for `pairing.min_mutation_score` and its like.
    Example: iterpref validate --run runs/a
    """
    from iterpref import pipeline

    with open_run(run, config, set_) as opened:
        finish(pipeline.validate(opened), as_json)


@app.command("revise")
def revise_(run: RunOption, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Ask a model whether tests that different programs fail alike contradict their task; if so, make a new task.

    Reads unsolved trajectories. Writes tasks with revised tests and a link to their parent, for `iterpref debug`.
    Example: iterpref revise --run runs/a && iterpref debug --run runs/a
    """
    from iterpref import pipeline
    from iterpref.synthesis.revise import revision_summary

    with open_run(run, config, set_) as opened:
        finish(revision_summary(opened.store, pipeline.revise(opened)), as_json)


class _Export(TyperCommand):
    """A command whose help names the formats there are; their table is imported for this command only."""

    def get_params(self, ctx: Any) -> list[Any]:
        from iterpref.exporting import FORMATS

        parameters: list[Any] = super().get_params(ctx)
        [option] = [parameter for parameter in parameters if parameter.name == "format_"]
        option.help = f"trajectories, or pairs as {' or '.join(', '.join(FORMATS).rsplit(', ', 1))}."
        return parameters


@app.command("export", cls=_Export)
def export_(
    run: RunOption,
    output: Annotated[Path, Argument(help="Folder to write; for trajectories a JSONL file.")],
    format_: Annotated[str, Option("--format")] = "trajectories",
    push: Annotated[str | None, Option(help="Also upload the pairs to this hub dataset, owner/name.")] = None,
    public: Annotated[bool, Option(help="Make a new dataset of the hub visible to everybody.")] = False,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files there that no export wrote.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the kept pairs for another trainer, with a dataset card; or the trajectories, for `iterpref import`.

    Reads the run's records. Writes train.jsonl and README.md into a folder; for trajectories one file with their tasks.
    Only files of an earlier export are replaced.
    Example: iterpref export pairs-swift --run runs/a --format ms_swift
    """
    from iterpref import pipeline
    from iterpref.exporting import export_trajectories
    from iterpref.opened_run import OpenedRun
    from iterpref.store import Store

    with Store.open(run, write=False) as store:
        if format_ == "trajectories":
            if push:
                raise IterPrefError("--push uploads pairs; name their format, as --format trl_conversational")
            written = export_trajectories(store, output, overwrite=overwrite)
            left = {"unfinished": unfinished} if (unfinished := store.count_unfinished()) else {}
            finish({"trajectories": written, **left, "file": str(output)}, as_json)
            return
        opened = OpenedRun(store, resolve(run, None, None))
        made = pipeline.export(opened, output, format_, push, private=not public, overwrite=overwrite)
        finish(asdict(made), as_json)
