"""One training of the laboratory, small, and its score: a trial of one seed, which proves nothing about a method.

    python -m benchmarks.lab.trainers.trial grpo --programs 1280 --folder /tmp/trial
    python -m benchmarks.lab.trainers.trial rounds --tasks 300 --folder /tmp/trial

Trains the playground's coder on its tasks and scores it on held-out ones (greedy pass@1). `stages` and `mixture` debug
first, which their seconds don't hold.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from iterpref import pipeline
from iterpref.demo import CONFIG
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import PreferencePair, Task

from .arm import ArmSummary, Spent
from .composed import MixtureSettings, StagesSettings, spent_by_task, train_in_stages, train_mixture
from .grpo import GrpoSettings, train_grpo
from .rounds import RoundsSettings, train_rounds
from .runs import TRAINING, RunSettings, opened

Trial = Callable[[Path, list[Task], argparse.Namespace, Path], ArmSummary]


def _grpo(model: Path, tasks: list[Task], asked: argparse.Namespace, output: Path) -> ArmSummary:
    settings = GrpoSettings(
        programs=None if asked.wall_s else asked.programs, wall_s=asked.wall_s, learning_rate=asked.rate,
        group=asked.group, prompts=asked.prompts, iterations=asked.iterations,
    )  # fmt: skip
    return train_grpo(model, tasks, settings, asked.seed, output)


def _rounds(model: Path, tasks: list[Task], asked: argparse.Namespace, output: Path) -> ArmSummary:
    settings = RoundsSettings(asked.rounds, asked.programs, _run(asked))
    return train_rounds(model, tasks, settings, asked.seed, output, lambda trained: score(trained, asked))


def _stages(model: Path, tasks: list[Task], asked: argparse.Namespace, output: Path) -> ArmSummary:
    pairs, _ = debugged(model, tasks, asked, output.with_name("debugged"))
    return train_in_stages(model, pairs, StagesSettings(run=_run(asked)), asked.seed, output)


def _mixture(model: Path, tasks: list[Task], asked: argparse.Namespace, output: Path) -> ArmSummary:
    pairs, made = debugged(model, tasks, asked, output.with_name("debugged"))
    settings = MixtureSettings(asked.programs, grpo={"prompts": asked.prompts}, run=_run(asked))
    return train_mixture(model, tasks, pairs, made, settings, asked.seed, output)


TRIALS: dict[str, Trial] = {"grpo": _grpo, "rounds": _rounds, "stages": _stages, "mixture": _mixture}


def debugged(
    model: Path, tasks: list[Task], asked: argparse.Namespace, folder: Path
) -> tuple[list[PreferencePair], dict[str, Spent]]:
    """The pairs of a pass of debugging, and what it generated."""
    with opened(folder, _run(asked).config(model, asked.seed), tasks) as run:
        pipeline.debug(run)
        pipeline.pair(run)
        return list(run.store.pairs(kept=True)), spent_by_task(run.store)


def _run(asked: argparse.Namespace) -> RunSettings:
    return RunSettings(training={**TRAINING, "learning_rate": asked.rate})


def score(model: Path, asked: argparse.Namespace) -> float:
    evaluation = {**CONFIG["evaluation"], "tasks": asked.held_out}
    config = RunSettings().config(model, asked.seed, evaluation=evaluation)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), config) as run:
        return pipeline.evaluate(run, str(model)).metrics["pass@1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainer", choices=TRIALS)
    parser.add_argument("--folder", type=Path, required=True, help="For the trained model; a finished one is read.")
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--programs", type=int, default=660, help="Budget; about what debugging 300 tasks takes.")
    parser.add_argument("--wall-s", type=float, help="Budget of grpo in seconds instead.")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    tasks = playground_tasks("train", asked.tasks, asked.seed)
    summary = TRIALS[asked.trainer](coder_path(), tasks, asked, asked.folder / asked.trainer)
    scores = {"base": score(coder_path(), asked), "trained": score(Path(summary.model), asked)}
    print(json.dumps(summary.model_dump(mode="json") | {"scores": scores, "held_out": asked.held_out}, indent=1))


if __name__ == "__main__":
    main()
