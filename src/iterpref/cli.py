"""argv → configuration → one entry function. No logic of the method is here; heavy imports wait for their command.

Progress and messages go to standard error; with `--json` the last line of standard output is one JSON object.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iterpref.errors import IterPrefError

if TYPE_CHECKING:
    from iterpref.config import Config
    from iterpref.debugging.debug import DebugProgress
    from iterpref.pipeline import Run

app = typer.Typer(
    name="iterpref",
    help="Teach code LLMs from their own debugging.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RunFolder = Annotated[Path, typer.Option("--run", help="The run folder; created when absent.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file; default: the run's own config.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="One value, as stage.key=value; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object last.")]
CONFIG_FILE = "config.yaml"


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="JSONL or Parquet file, folder of Parquet, or hub dataset id.")],
    run: RunFolder,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    column: Annotated[
        list[str] | None, typer.Option(help="Column of pairs or tasks, as prompt=instruction; repeatable.")
    ] = None,
) -> None:
    """Read tasks, recorded debugging runs, or existing preference pairs into a run.

    Programs of recorded runs are executed again and compared with their recorded verdicts. Writes tasks, trajectories
    or pairs; import again to continue.
    With --column tests=NAME the source holds tasks under any column names.
    Example: iterpref import pairs.jsonl --run runs/a --column prompt=instruction
    """
    with _open(run, config, set_) as opened:
        _finish(opened.import_source(source, _columns(column or [])), as_json)


@app.command()
def synthesize(run: RunFolder, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Let a model draft tasks with tests, steered by a feature tree or by code of yours.

    Reads the tree and snippets of the config. Writes tasks; run again to continue, at no cost for what was drafted.
    Example: iterpref synthesize --run runs/a -c recipes/codeflow/teacher.yaml
    """
    with _open(run, config, set_) as opened:
        _finish(opened.synthesize(), as_json)


@app.command()
def debug(
    run: RunFolder,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    retry_dead: Annotated[bool, typer.Option(help="Make calls again that were given up earlier.")] = False,
    shard: Annotated[str | None, typer.Option(help="Only this part of the tasks, as 3/16, in shards/.")] = None,
    estimate: Annotated[bool, typer.Option(help="Only say what calls and US dollars it would take.")] = False,
) -> None:
    """Run each program, show the model what failed, ask for a fix; stop when it passes.

    Reads the run's tasks. Writes calls, executions and trajectories; run again to continue.
    Example: iterpref debug --run runs/a --set debugging.max_iterations=5
    """
    from iterpref.parallel import Shard
    from iterpref.pipeline import debug_shard
    from iterpref.progress import ProgressBars
    from iterpref.store import Store

    if shard:
        part, resolved = Shard.parse(shard), _resolve(run, config, set_)
        if retry_dead:
            with Store.open(part.folder(run)) as store:
                store.forget_dead_letters()
        with ProgressBars() as bars:
            _finish_debugging(debug_shard(run, resolved, part, bars), as_json)
        return
    with _open(run, config, set_) as opened:
        if estimate:
            _finish(opened.estimate_debugging(), as_json)
            return
        if retry_dead:
            opened.store.forget_dead_letters()
        _finish_debugging(opened.debug(), as_json)


@app.command()
def merge(run: RunFolder, as_json: AsJson = False) -> None:
    """Bring the shards of a run together.

    Reads shards/. Writes calls, executions and trajectories into the run; merge again after more shards.
    Example: iterpref merge --run runs/a
    """
    from iterpref.pipeline import merge_shards
    from iterpref.store import Store

    with Store.open(run) as store:
        _finish(merge_shards(store), as_json)


@app.command()
def pair(run: RunFolder, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Make focal preference pairs of the run's trajectories and imported pairs.

    Reads the run's records, calls no model. Writes pairs/train.parquet and its dataset card.
    Example: iterpref pair --run runs/a --set pairing.negatives=each
    """
    with _open(run, config, set_) as opened:
        funnel = opened.pair()
        left = {row.name: row.left for row in funnel}
        _finish(
            {"pairs": opened.store.count("pairs"), "kept": opened.store.count("pairs", "kept = 1"), "left": left},
            as_json,
        )


@app.command()
def validate(run: RunFolder, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Measure how far the tests can be trusted: repeats, trivially wrong programs, coverage, planted faults.

    Reads tasks and the programs that pass them. Writes test qualities, for `pairing.min_mutation_score` and its like.
    Example: iterpref validate --run runs/a
    """
    with _open(run, config, set_) as opened:
        _finish(opened.validate(), as_json)


@app.command()
def judge(
    run: RunFolder,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    tests: Annotated[bool, typer.Option(help="Judge the tests that `iterpref validate` measured instead.")] = False,
) -> None:
    """Ask a model of each kept pair whether its difference is logical, or only format, names and comments.

    Reads the run's pairs. Writes judgements, which `iterpref pair` then uses; none is asked for twice.
    Example: iterpref judge --run runs/a && iterpref pair --run runs/a
    """
    with _open(run, config, set_) as opened:
        _finish(opened.judge(tests), as_json)


@app.command("revise")
def revise_(run: RunFolder, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Ask a model whether tests that different programs fail alike contradict their task; if so, make a new task.

    Reads unsolved trajectories. Writes tasks with revised tests and a link to their parent, for `iterpref debug`.
    Example: iterpref revise --run runs/a && iterpref debug --run runs/a
    """
    with _open(run, config, set_) as opened:
        _finish(opened.revise(), as_json)


@app.command()
def train(run: RunFolder, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Train the model on the run's pairs.

    Reads pairs/train.parquet (never the database, so that every node of a launcher can). Writes model/.
    Example: iterpref train --run runs/a --set training.method=target_rpo
    Several processes: accelerate launch -m iterpref train --run runs/a
    """
    from iterpref.pipeline import train_run
    from iterpref.progress import ProgressBars

    resolved = _resolve(run, config, set_)
    with ProgressBars() as bars:
        summary = train_run(run, resolved, bars)
        if os.environ.get("RANK", "0") == "0":  # a launcher's other processes have nothing to add
            _finish(summary.model_dump(mode="json"), as_json)


@app.command()
def evaluate(
    run: RunFolder,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    model: Annotated[str | None, typer.Option(help="Folder or hub id; default: the config's model.")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Score this file of completions (EvalPlus, BigCodeBench, LiveCodeBench).")
    ] = None,
    sanitize: Annotated[bool, typer.Option(help="Cut programs of --samples down to what they need first.")] = False,
) -> None:
    """Measure pass@k of a model, or of a file of completions, on a benchmark.

    Reads the benchmark and the model. Writes a Result into the run, and results/ with its samples.
    Example: iterpref evaluate --run runs/a --set evaluation.benchmark=humaneval+ --samples samples.jsonl
    """
    with _open(run, config, set_) as opened:
        result = opened.evaluate(model or opened.config.model, samples, sanitize)
        fields = {"result_id": result.result_id, "benchmark": result.benchmark, "model": result.model}
        counted = {"tasks": len({s.task_id for s in result.samples}), "broken": len(result.broken)}
        _finish({**fields, **counted, **result.metrics}, as_json)


@app.command("export")
def export_(
    run: RunFolder,
    output: Annotated[Path, typer.Argument(help="Folder to write; for trajectories a JSONL file.")],
    format_: Annotated[
        str, typer.Option("--format", help="trajectories, or pairs as trl, trl_conversational or ms_swift.")
    ] = "trajectories",
    push: Annotated[str | None, typer.Option(help="Also upload the pairs to this hub dataset, owner/name.")] = None,
    public: Annotated[bool, typer.Option(help="Make a new dataset of the hub visible to everybody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the kept pairs for another trainer, with a dataset card; or the trajectories, for `iterpref import`.

    Reads the run's records. Writes train.jsonl and README.md into a folder; for trajectories one file with their tasks.
    Example: iterpref export pairs-swift --run runs/a --format ms_swift
    """
    from iterpref.importing import export_trajectories
    from iterpref.pipeline import Run
    from iterpref.store import Store

    with Store.open(run, write=False) as store:
        if format_ == "trajectories":
            if push:
                raise IterPrefError("--push uploads pairs; name their format, as --format trl_conversational")
            _finish({"trajectories": export_trajectories(store, output), "file": str(output)}, as_json)
            return
        opened = Run(store, _resolve(run, None, None))
        _finish(asdict(opened.export(output, format_, push, private=not public)), as_json)


@app.command()
def compare(
    sources: Annotated[list[Path], typer.Argument(help="Two or more: results/ID.json files, or run folders.")],
    k: Annotated[int, typer.Option(help="Compare pass@k.")] = 1,
    level: Annotated[float, typer.Option(help="Of the bootstrap intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    markdown: Annotated[Path | None, typer.Option(help="Also write the tables to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with the programs they differ on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare models task by task: differences with intervals, exact McNemar tests, tasks won and lost.

    Reads Results of the same benchmarks. Writes nothing unless asked to.
    Example: iterpref compare runs/a/results/1f.json runs/a/results/9c.json --html compared.html
    """
    from iterpref.analysis.matrix import compare_all, load_entrant
    from iterpref.viewer.comparison import as_markdown, write_page

    entrants = [load_entrant(source) for source in sources]
    matrix = compare_all(entrants, k, level, seed)
    text = as_markdown(matrix)
    if markdown is not None:
        markdown.write_text(text, encoding="utf-8")
    if html is not None:
        write_page(matrix, entrants, html)
    if as_json:
        _finish(matrix.model_dump(mode="json"), as_json)
    else:
        print(text)


@app.command()
def report(run: RunFolder) -> None:
    """Write report.html: what the run did, with its numbers and example pairs, as one static page.

    Reads the run's records. Example: iterpref report --run runs/a
    """
    from iterpref.store import Store
    from iterpref.viewer.report import write_report

    with Store.open(run, write=False) as store:
        _finish({"report": str(write_report(store))}, as_json=False)


@app.command("run")
def run_(run: RunFolder, config: ConfigFile = None, set_: Overrides = None) -> None:
    """Do all steps: evaluate, debug, pair, train, evaluate again, report. Run again to continue.

    Reads the run's tasks and the config. Writes the whole run folder.
    Example: iterpref run --run runs/a -c recipes/mine.yaml
    """
    with _open(run, config, set_) as opened:
        opened.run()
        _finish({"report": str(opened.report())}, as_json=False)


@app.command()
def demo(
    run: RunFolder = Path("runs/demo"),
    set_: Overrides = None,
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option(help="A smaller one, for CI.")] = False,
) -> None:
    """Run the whole method on the playground with the tiny coder that ships with this package.

    Needs no GPU, key or network. Writes a run folder with report.html; a second call repeats nothing.
    Example: iterpref demo --run runs/demo
    """
    from iterpref.demo import demo, demo_config

    with _open(run, None, set_, base=demo_config(quick)) as opened:
        _finish(demo(opened), as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say how well this machine can isolate programs, what blocks more, and how many it runs a second.

    Reads and writes nothing. Ends with status 1 where nothing better than resource limits works.
    Example: iterpref doctor
    """
    from iterpref.sandbox.doctor import diagnose

    findings = diagnose()
    used = next(finding.isolation for finding in findings if not finding.blocked)
    rows = [
        {"rung": f.isolation, "executions_per_s": f.executions_per_s, "blocked": f.blocked or "no"} for f in findings
    ]
    _finish({"isolation": used, "rungs": rows}, as_json)
    if used == "rlimits":
        raise IterPrefError("programs can't be isolated here; `blocked` above says what would allow it")


@contextmanager
def _open(
    run: Path, config: Path | None, overrides: list[str] | None, base: dict[str, Any] | None = None
) -> "Iterator[Run]":
    """The run folder, opened for writing, with its resolved configuration written into it."""
    from iterpref.config import dump_config
    from iterpref.pipeline import Run
    from iterpref.progress import ProgressBars
    from iterpref.store import Store

    resolved = _resolve(run, config, overrides, base)
    with Store.open(run) as store, ProgressBars() as bars:
        (run / CONFIG_FILE).write_text(dump_config(resolved), encoding="utf-8")
        yield Run(store, resolved, bars)


def _resolve(
    run: Path, config: Path | None, overrides: list[str] | None, base: dict[str, Any] | None = None
) -> "Config":
    """`-c` if given, else what the run was started with, else the defaults; then `--set`."""
    from iterpref.config import load_config

    stored = run / CONFIG_FILE
    path = config or (stored if stored.is_file() and base is None else None)
    return load_config(path, overrides or [], base)


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(columns) != len(pairs):
        raise IterPrefError(f"--column {pairs}: expected name=column once per name, for example prompt=instruction")
    return columns


def _finish_debugging(progress: "DebugProgress", as_json: bool) -> None:
    """Say how debugging went; tasks that could not be debugged end the command with status 1."""
    summary = {
        "tasks": progress.total,
        "passed": sum(progress.passed),
        "failed_tools": progress.failed_tools,
        "pass_rate_by_iteration": [round(rate, 4) for rate in progress.pass_rates],
    }
    _finish(summary, as_json)
    if progress.failed_tools:
        first = progress.errors[0]
        raise IterPrefError(f"{progress.failed_tools} of {progress.total} tasks could not be debugged; first: {first}")


def _finish(summary: dict[str, Any], as_json: bool) -> None:
    """Say what was done: as JSON on standard output, or as plain lines."""
    if as_json:
        print(json.dumps(summary, ensure_ascii=False), flush=True)
        return
    for key, value in summary.items():
        if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            print(f"{key}:")
            for row in value:
                print("  " + ", ".join(f"{name} {item}" for name, item in row.items()))
        else:
            print(f"{key}: {value}")


def main() -> None:
    """Entry point: errors a user can act on end as one message and status 1."""
    try:
        app()
    except IterPrefError as error:
        print(f"iterpref: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("iterpref: stopped; run the same command again to continue", file=sys.stderr)
        raise SystemExit(130) from None
