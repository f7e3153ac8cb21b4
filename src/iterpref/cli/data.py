"""Commands that make trajectories: import, synthesize, check, debug, merge, validate, revise."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from iterpref.errors import IterPrefError

from .app import (
    AsJson,
    ConfigFile,
    FirstConfigFile,
    FirstOverrides,
    NewRunOption,
    Overrides,
    RunOption,
    verb,
)
from .asking import Again, Estimate, Rate, RetryDead, asking, check_calls, check_rate
from .opening import Repeatable, begin, must_exist, open_estimate, open_run
from .output import finish, with_causes, with_cut
from .stopping import stoppable

if TYPE_CHECKING:
    from iterpref.debugging.debug import DebugProgress


@verb("import")
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
    columns = dict(pair.split("=", 1) for pair in column or [] if "=" in pair)
    if len(columns) != len(column or []):
        raise IterPrefError(f"--column {column}: expected name=column once per name, for example prompt=instruction")
    with open_run(run, config, set_, makes=True) as opened:
        from iterpref.pipeline import import_source

        found = import_source(opened, source, columns)
    finish(found, as_json)


@verb()
def synthesize(
    run: NewRunOption,
    config: FirstConfigFile = None,
    set_: FirstOverrides = None,
    as_json: AsJson = False,
    retry_dead: RetryDead = False,
    again: Again = False,
    estimate: Estimate = False,
    tokens_per_s: Rate = None,
) -> None:
    """Let a model draft tasks with tests, steered by a feature tree or by code of yours.

    Reads the tree and snippets of the config. Writes tasks; run again to continue, at no cost for what was drafted.
    Example: iterpref synthesize --run runs/a -c recipes/codeflow/teacher.yaml
    """
    check_rate(estimate, tokens_per_s)
    if estimate:
        with open_estimate(run, config, set_) as opened:
            from iterpref.importing import read_instructions
            from iterpref.synthesis.estimate import estimate_synthesis

            source = opened.config.synthesis.instructions
            own = read_instructions(source, opened.config.importing) if source else ()
            finish(estimate_synthesis(opened, own, tokens_per_s), as_json)
        return
    with (
        open_run(run, config, set_, makes=True) as opened,
        asking(opened, "synthesize", again, retry_dead) as asked,
    ):
        from iterpref import pipeline

        progress = pipeline.synthesize(asked)
    finish(asdict(progress), as_json)
    check_calls(progress.failed_calls, progress.why_failed, f"of {progress.total} drafts could not be asked for")


@verb()
def check(run: RunOption, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Say which tasks no model should be asked about: tests that can't be right, references that fail them.

    Reads the run's tasks and runs their references. `iterpref debug` does the same first, and leaves these tasks out.
    Ends with status 1 where there are any.
    Example: iterpref check --run runs/a
    """
    with open_run(run, config, set_) as opened:
        from iterpref import pipeline

        found = pipeline.check(opened)
    counts = {"tasks": found.done, "with_reference": found.references, "bad": len(found.bad)}
    finish(counts | with_causes("bad_tasks", found.bad, len(found.bad)), as_json)
    if found.bad:
        raise IterPrefError(f"{len(found.bad)} of {found.done} tasks can't be used; iterpref debug leaves them out")


@verb()
def debug(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    retry_dead: RetryDead = False,
    again: Again = False,
    shard: Annotated[str | None, Option(help="Only this part of the tasks, as 3/16, in shards/.")] = None,
    estimate: Estimate = False,
    tokens_per_s: Rate = None,
) -> None:
    """Run each program, show the model what failed, ask for a fix; stop when it passes.

    Reads the run's tasks. Writes calls, executions and trajectories; run again to continue.
    Example: iterpref debug --run runs/a --set debugging.max_iterations=5
    """
    check_rate(estimate, tokens_per_s)
    if estimate:
        with open_run(run, config, set_, write=False) as opened:
            from iterpref.debugging.estimate import estimate_debugging

            estimated = estimate_debugging(opened, tokens_per_s)
        finish(estimated, as_json)
        return
    if shard:
        if again:
            raise IterPrefError("--again works on the whole run, not on a shard; leave --shard out")
        progress = _debug_shard(run, shard, config, set_, retry_dead)
    else:
        with open_run(run, config, set_) as opened, asking(opened, "debug", again, retry_dead) as asked:
            from iterpref import pipeline

            progress = pipeline.debug(asked)
    total, failed = progress.total, progress.failed_tools
    rates = [round(rate, 4) for rate in progress.pass_rates]
    counts = {"tasks": total, "passed": sum(progress.passed), "failed_tools": failed}
    counts |= {"left_out": len(progress.left_out), "replies_without_program": progress.empty_replies}
    told = {"such_as": progress.empty_reply[:200]} if progress.empty_replies else {}
    told |= with_cut(progress.cut_replies, "debugging.sampling")
    told |= with_causes("left_out_tasks", progress.left_out)
    finish(counts | {"pass_rate_by_iteration": rates} | told, as_json)
    if failed:
        raise IterPrefError(f"{failed} of {total} tasks could not be debugged; first: {progress.errors[0]}")


def _debug_shard(
    run: Path, shard: str, config: Path | None, overrides: Repeatable, retry_dead: bool
) -> "DebugProgress":
    from iterpref.parallel import Shard

    part = Shard.parse(shard)
    must_exist(run)
    settings = begin(run, config, overrides)

    from iterpref.debugging.shards import debug_shard
    from iterpref.progress import ProgressBars
    from iterpref.store import Store

    if retry_dead:
        with Store.open(part.folder(run)) as store:
            store.forget_dead_letters()
    with stoppable(), ProgressBars() as bars:
        return debug_shard(run, settings, part, bars)


@verb()
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
    from iterpref.doing import doing
    from iterpref.progress import ProgressBars
    from iterpref.store import Store

    must_exist(run)
    with ProgressBars(), Store.open(run) as store, doing("merging shards"):
        merged = merge_shards(store, mixed=mixed)
    finish(merged, as_json)


@verb()
def validate(run: RunOption, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Measure how far the tests can be trusted: repeats, trivially wrong programs, coverage, planted faults.

    Reads tasks and the programs that pass them. Writes test qualities, for `pairing.min_mutation_score` and its like.
    Example: iterpref validate --run runs/a
    """
    with open_run(run, config, set_) as opened:
        from iterpref import pipeline

        measured = pipeline.validate(opened)
    finish(measured, as_json)


@verb("revise")
def revise_(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    retry_dead: RetryDead = False,
    again: Again = False,
) -> None:
    """Ask a model whether tests that different programs fail alike contradict their task; if so, make a new task.

    Reads unsolved trajectories. Writes tasks with revised tests and a link to their parent, for `iterpref debug`.
    Example: iterpref revise --run runs/a && iterpref debug --run runs/a
    """
    with open_run(run, config, set_) as opened, asking(opened, "revise", again, retry_dead) as asked:
        from iterpref import pipeline
        from iterpref.synthesis.revise import revision_summary

        done = pipeline.revise(asked)
        summary = revision_summary(opened.store, done)
    finish(summary, as_json)
    check_calls(done.failed_calls, done.why_failed, f"of {done.suspects} suspect tests could not be judged")
