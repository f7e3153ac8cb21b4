"""The whole method on a real model, from nothing, resumable at any point.

    python -m benchmarks.real_models --model FOLDER [--repairer FOLDER] [--quick] [--estimate] [--publish]

Prints an estimate of hours first, then runs each step that has no record yet (plan.py is the place to begin reading).
Kill it whenever you like: the same command goes on, and pays no stored call again. `--publish` writes the tables and
plots of finished steps into docs/, and each task's outcome into benchmarks/data/real_models.json. `--published-pairs`
trains on the pairs of the published run instead of making some.
"""

import argparse
import gc
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from benchmarks.pages import filled

from iterpref.errors import ConfigError, IterPrefError
from iterpref.files import write_json, write_text
from iterpref.model_source import model_source
from iterpref.playground.coder import resolve_model
from iterpref.progress import ProgressBars

from .charts import charts, pictures
from .data import use_mbpp
from .jobs import run_in_processes, this_command
from .lab import Lab
from .pairs import TRAINING
from .plan import FULL, HUB_ID, MBPP, QUICK, Experiment, Rates, Scale, expected
from .published import DATA, ROOT, take_published, with_published, write_pairs
from .records import Records
from .steps import needed_by, steps
from .tables import tables

PAGE, FIGURES = "docs/real-models.md", "docs/figures"


def main() -> None:
    options = _options()
    experiment = _experiment(options)
    records = Records(experiment.work)
    if not options.only:
        print(_estimate(experiment, records, Rates(options.prompt_rate, options.answer_rate, options.train_rate)))
    try:
        if not options.estimate and not options.publish:
            _run(experiment, records, options)
    except IterPrefError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; what was asked, run and finished is kept, and the same command goes on")
    if not options.estimate and not options.only:
        _write_tables(experiment.work / "tables.md", experiment.work, records)
    if options.publish:
        _publish(records, experiment.work, experiment.scale)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_models", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--model", default=HUB_ID, help="Folder or hub id of the 0.5B; default: %(default)s.")
    parser.add_argument("--repairer", help="Folder or hub id of the 1.5B; without it that arm is left out.")
    parser.add_argument("--mbpp", default=MBPP, help="mbpp.jsonl as its authors publish it; default: the hub's.")
    parser.add_argument("--work", type=Path, default=Path("../real-models-work"), help="Folder for runs and records.")
    parser.add_argument("--quick", action="store_true", help="40 tasks, two repairs, 20 pairs, two methods.")
    parser.add_argument("--tasks", type=int, metavar="N", help="N tasks of everything: to try it out.")
    parser.add_argument("--rates", type=float, nargs="+", metavar="RATE", help="These learning rates alone.")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="N steps at once, each in its own process.")
    parser.add_argument("--only", metavar="STEP", help="This step alone, in this process; those before it are done.")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="A setting on top of all.")
    parser.add_argument("--published-pairs", action="store_true", help="Train on the pairs of the published run.")
    parser.add_argument("--estimate", action="store_true", help="Only say how long it will take.")
    parser.add_argument("--publish", action="store_true", help="Only write tables and plots into docs/.")
    for name, value in vars(Rates()).items():
        said = "train" if name == "trained" else name
        parser.add_argument(f"--{said}-rate", type=float, default=value, metavar="TOKENS",
                            help=f"Tokens a second ({said}), for the estimate; default: %(default)s.")  # fmt: skip
    return parser.parse_args()


def _experiment(options: argparse.Namespace) -> Experiment:
    scale = QUICK if options.quick else FULL
    if options.tasks:
        few = options.tasks
        scale = replace(scale, name=f"{scale.name}-{few}", tasks=few, validation=few, evaluated=few)
    if options.rates:
        scale = replace(scale, rates=tuple(sorted(options.rates)))
    work = (options.work / scale.name).resolve()
    use_mbpp(options.mbpp)
    return Experiment(options.model, options.repairer, options.mbpp, work, scale, tuple(options.set))


def _estimate(experiment: Experiment, records: Records, rates: Rates) -> str:
    """Hours of each step that is left."""
    left = {name: rates.hours(tokens) for name, tokens in expected(experiment).items() if records.get(name) is None}
    lines = [f"{name:<28}{hours:6.1f} h" for name, hours in left.items() if hours >= 0.05]
    total = (
        f"{sum(left.values()):.1f} hours are left of {experiment.scale.name}, in {len(left)} steps ({experiment.work})"
    )
    how = f"at {rates.prompt:g} tokens/s of prompt, {rates.answer:g} of answers, {rates.trained:g} of training"
    left_out = [] if experiment.repairer else ["No --repairer: the step in which a larger model repairs is left out."]
    return "\n".join([*lines, f"About {total}, {how}.", *left_out])


def _run(experiment: Experiment, records: Records, options: argparse.Namespace) -> None:
    for model in filter(None, (experiment.model, experiment.repairer)):
        model_source(resolve_model(model))  # before the folder is claimed for a name that was mistyped
    records.claim(experiment)
    if options.published_pairs:
        take_published(Lab(experiment, records))
    known = steps(experiment)
    left = [name for name in known if records.get(name) is None]
    if options.only:
        left = _only(options.only, list(known), left)
    elif options.jobs > 1:
        return run_in_processes(list(known), left, options.jobs, this_command(), experiment.work / "logs")
    with ProgressBars() as bars:
        lab = Lab(experiment, records, bars)
        for name in left:
            print(f"step {name} ({datetime.now():%H:%M})", flush=True)
            records.put(name, known[name](lab))
            gc.collect()  # trainers hold themselves in circles, and a model with them


def _only(name: str, known: Sequence[str], left: Sequence[str]) -> list[str]:
    """The step of `--only`, if it isn't done."""
    if name not in known:
        raise ConfigError(f"--only {name}: no such step; there are {', '.join(known)}")
    if missing := sorted(needed_by(name, known) & set(left)):
        raise ConfigError(f"--only {name}: it reads what {', '.join(missing)} found; run that first")
    return [step for step in left if step == name]


def _write_tables(path: Path, folder: Path, records: Records) -> None:
    """The same tables and plots in the work folder, whatever the scale."""
    found = records.all()
    if found:
        made = tables(found) | pictures(found, "")
        write_text(path, "".join(f"## {name}\n\n{table}\n\n" for name, table in made.items()))
        for name, chart in charts(found).items():
            write_text(folder / name, chart)


def _publish(records: Records, work: Path, scale: Scale) -> None:
    if replace(scale, rates=FULL.rates) != FULL:
        sys.exit(f"error: {PAGE} shows the experiment that was fixed before; {scale.name} is another")
    found = with_published(records.all())
    page = ROOT / PAGE
    write_text(page, filled(page.read_text(encoding="utf-8"), tables(found) | pictures(found, "figures/")))
    for name, chart in charts(found).items():
        write_text(ROOT / FIGURES / name, chart)
    write_json(DATA, found, indent=1, sort_keys=True)
    if "pairs" in found and (work / TRAINING).is_dir():
        write_pairs(work)


if __name__ == "__main__":
    main()
