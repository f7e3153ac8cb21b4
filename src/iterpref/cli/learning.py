"""Commands that turn trajectories into a model: pair, judge, diagnose, train; and all steps at once: run, demo."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from iterpref.doing import doing
from iterpref.errors import IterPrefError
from iterpref.run_folder import DEFAULT_TRAINING, RunFolder

from .app import AsJson, ConfigFile, NewRunOption, Overrides, RunOption, verb
from .asking import Again, RetryDead, asking, check_calls
from .opening import begin, open_run
from .output import finish
from .planning import planned
from .stopping import stoppable

if TYPE_CHECKING:
    from iterpref.opened_run import OpenedRun

_NO_PAIRS = {
    "debugging": "no failing program was followed by one that passes; draws may give pairs: iterpref debug --set "
    "debugging.mode=sampling --set debugging.draws=all, then iterpref pair --set pairing.source=sampling",
    "sampling": "no task has a draw that passes beside one that fails; iterpref debug --set debugging.mode=sampling "
    "--set debugging.draws=all makes all of them",
}


@verb()
def pair(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    reviewed: Annotated[
        bool, Option("--reviewed", help="Drop the pairs that were marked reject in `iterpref view`.")
    ] = False,
) -> None:
    """Make focal preference pairs of the run's trajectories and imported pairs.

    Reads the run's records, calls no model. Writes pairs/train.parquet and its dataset card.
    Example: iterpref pair --run runs/a --set pairing.negatives=each
    """
    if reviewed:
        set_ = ["pairing.reviewed=not_rejected", *(set_ or [])]
    with open_run(run, config, set_) as opened:
        from iterpref import pipeline
        from iterpref.store import read_marks

        if config is None and not any(word.startswith("pairing.source=") for word in set_ or []):
            _check_source(opened)
        tally = pipeline.pair(opened)
        unused = opened.config.pairing.reviewed == "ignore" and any(m.mark for m in read_marks(run).values())
    left = {row.name: row.left for row in tally.funnel}
    dropped = {row.name: dict(row.reasons) for row in tally.funnel if row.dropped}
    notes = ["review marks are kept in this run and were not used; --reviewed uses them"] if unused else []
    if not tally.pairs:
        notes.append(_NO_PAIRS[opened.config.pairing.source])
    told = {"note": "; ".join(notes)} if notes else {}
    finish({"pairs": tally.pairs, "kept": tally.kept, "left": left, "dropped": dropped} | told, as_json)


def _check_source(opened: "OpenedRun") -> None:
    """Refuse to replace pairs of draws by pairs of debugging, or the other way round, where nobody said so now."""
    from iterpref.viewer.run_facts import pairs_source

    before, source = pairs_source(opened.store), opened.config.pairing.source
    kept = opened.store.count_kept_pairs()
    if kept and before not in (None, source):
        place = opened.store.folder
        raise IterPrefError(
            f"{place}: its {kept} kept pairs were made with pairing.source={before}, and the settings now say "
            f"{source}, which would replace them; add --set pairing.source={before} (or ={source}), or keep it for "
            f"this run: iterpref config --run {place} set pairing.source={before}"
        )


@verb()
def judge(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    tests: Annotated[bool, Option(help="Judge the tests that `iterpref validate` measured instead.")] = False,
    features: Annotated[bool, Option("--features", help="Count the features of pairs' programs instead.")] = False,
    retry_dead: RetryDead = False,
    again: Again = False,
) -> None:
    """Ask a model of each kept pair whether its difference is logical, or only format, names and comments.

    Reads the run's pairs. Writes judgements, which `iterpref pair` then uses; none is asked for twice. Features by
    category are for the report.
    Example: iterpref judge --run runs/a && iterpref pair --run runs/a
    """
    if tests and features:
        raise IterPrefError("iterpref judge: --tests and --features ask different things; give one of them")
    step = "count_features" if features else "score_tests" if tests else "judge"
    with open_run(run, config, set_) as opened, asking(opened, step, again, retry_dead) as asked:
        from iterpref import pipeline

        done = getattr(pipeline, step)(asked)
    finish(asdict(done), as_json)
    check_calls(done.failed_calls, done.why_failed, f"{'tests' if tests else 'pairs'} could not be judged")


@verb()
def diagnose(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    retry_dead: RetryDead = False,
    again: Again = False,
) -> None:
    """Let a model continue both programs of each pair before and after their changed lines: does D⁻ hold the fault?

    Reads the run's kept pairs and the tests of their tasks. Writes diagnoses, for `pairing.diagnosed`; run again to
    continue.
    Example: iterpref diagnose --run runs/a && iterpref pair --run runs/a --set pairing.diagnosed=0.5
    """
    with open_run(run, config, set_) as opened, asking(opened, "diagnose", again, retry_dead) as asked:
        from iterpref import pipeline
        from iterpref.analysis.diagnosis import summary_of

        done = pipeline.diagnose(asked)
    counts = {"pairs": done.total, "known": done.known, "skipped": dict(done.skipped), "failed": done.failed}
    finish(counts | summary_of(done.found), as_json)
    check_calls(done.failed, done.why_failed, f"of {done.total} pairs could not be diagnosed")


@verb()
def train(
    run: RunOption,
    config: ConfigFile = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    output: Annotated[str, Option(metavar="NAME", help="Train into models/NAME of the run.")] = DEFAULT_TRAINING,
    restart: Annotated[bool, Option("--restart", help="Start over: delete the training that is there.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what it would take; needs no weights.")] = False,
    device: Annotated[str | None, Option(help="Of a dry run: cpu or cuda; default: what is here.")] = None,
    flops: Annotated[
        float | None, Option(help="Of a dry run: operations a second that one device reaches; default: measured here.")
    ] = None,
    launch: Annotated[
        Path | None, Option(help="Of a dry run: the file for `accelerate launch --config_file`: processes, sharding.")
    ] = None,
) -> None:
    """Train the model on the run's pairs; run again to continue.

    Reads pairs/train.parquet (never the database, so that every node of a launcher can). Writes model/, or models/NAME.
    Example: iterpref train --run runs/a --set training.method=dpo --output dpo
    Several processes: accelerate launch -m iterpref train --run runs/a
    Tokens, memory and hours beforehand: iterpref train --run runs/a --dry-run
    """
    settings = begin(run, config, set_)
    if dry_run or any(given is not None for given in (device, flops, launch)):
        said = planned(run, settings, dry_run, device, flops, launch, as_json)
        if _is_first():
            finish(said, as_json)
        return

    from iterpref.progress import ProgressBars

    with stoppable(), ProgressBars() as bars:
        with doing("starting"):
            from iterpref import pipeline

        summary = pipeline.train(RunFolder(run), settings, bars, output, restart)
    if _is_first():
        finish(summary.model_dump(mode="json", exclude=None if as_json else {"metrics"}), as_json)


def _is_first() -> bool:
    """A launcher's other processes have nothing to add."""
    return os.environ.get("RANK", "0") == "0"


@verb("run")
def run_(run: RunOption, config: ConfigFile = None, set_: Overrides = None, as_json: AsJson = False) -> None:
    """Do all steps: evaluate, debug, pair, train, evaluate again, report. Run again to continue.

    Reads the run's tasks and the config. Writes the whole run folder.
    Example: iterpref run --run runs/a -c recipes/mine.yaml
    """
    with open_run(run, config, set_) as opened:
        from iterpref import pipeline
        from iterpref.viewer.terminal import run_facts

        pipeline.run_all(opened)
        summary = run_facts(opened.store)
    finish(summary | {"report": str(opened.folder.report)}, as_json)


@verb()
def demo(
    run: NewRunOption = Path("runs/demo"),
    set_: Overrides = None,
    as_json: AsJson = False,
    quick: Annotated[bool, Option(help="A smaller one, for CI.")] = False,
) -> None:
    """Run the whole method on the playground with the tiny coder that ships with this package.

    Needs no GPU, key or network. Writes a run folder with report.html; a second call repeats nothing.
    Example: iterpref demo --run runs/demo
    """
    from iterpref.demo import demo, demo_config

    with open_run(run, None, set_, demo_config(quick), makes=True) as opened:
        summary = demo(opened)
    finish(summary | ({} if as_json else {"report": str(opened.folder.report)}), as_json)
