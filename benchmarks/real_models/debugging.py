"""The arms of debugging: own repairs, sampling, and the first repair without feedback, with another's, by another.

Each arm has a run folder of its own. All others begin with the calls that own repairs have paid already; so all have
the same first attempts, and pay for what comes after them alone.
"""

import random
from collections.abc import Callable
from functools import partial

from iterpref import pipeline
from iterpref.analysis.taxonomy import failure_kind
from iterpref.config import Config
from iterpref.debugging.debug_run import debug_tasks
from iterpref.opened_run import OpenedRun
from iterpref.records import Execution, PreferencePair, Task, fingerprint
from iterpref.store import Store

from .data import training_file
from .lab import Lab
from .records import Record

RUN, SAMPLING = "debugging", "sampling"
Feedback = Callable[[Task, int, Execution], str]


def own_repairs(lab: Lab) -> Record:
    """A few repairs of each failing program, by its own author."""
    with lab.opened(RUN, debug_config(lab)) as run:
        return _debug_all(lab, run)


def sampling(lab: Lab) -> Record:
    """As many independent draws as debugging may make calls; draw 0 is the first attempt."""
    with lab.opened(SAMPLING, debug_config(lab, "debugging.mode=sampling")) as run:
        _begin_with_paid_calls(lab, run)
        return _debug_all(lab, run)


def debug_config(lab: Lab, *overrides: str) -> Config:
    """The recipe with as many repairs as this scale has."""
    return lab.experiment.config("debug", f"debugging.max_iterations={lab.experiment.scale.repairs}", *overrides)


def _debug_all(lab: Lab, run: OpenedRun) -> Record:
    pipeline.import_source(run, str(training_file(lab.experiment)), {})
    progress = pipeline.debug(run)
    return outcomes(run.store, run.config.debugging.mode) | {"left_out": progress.left_out}


def _begin_with_paid_calls(lab: Lab, run: OpenedRun) -> None:
    if not run.store.count("tasks"):
        run.store.absorb(lab.folder(RUN))  # before there are tasks: calls and executions, and no trajectory


def removed(lab: Lab) -> Record:
    """The model is told only that its program failed."""
    config = lab.experiment.config("debug", "debugging.max_iterations=1", "debugging.feedback=none")
    return _first_repair(lab, "removed", config, pipeline.debug)


def shuffled(lab: Lab) -> Record:
    """The model reads what another task's program was told."""
    config = lab.experiment.config("debug", "debugging.max_iterations=1")
    with lab.read(RUN) as true:
        told = feedback_of_others(true)
    return _first_repair(lab, "shuffled", config, partial(debug_tasks, feedback=told))


def repairer(lab: Lab) -> Record:
    """A larger model repairs."""
    larger = lab.experiment.repairer
    alike = [f"repair_{setting}" for setting in lab.experiment.settings if setting.startswith("client.")]
    config = lab.experiment.config("debug", "debugging.max_iterations=1", "repair_client.kind=local", *alike,
                                   f"repair_client.model={larger}")  # fmt: skip
    record = _first_repair(lab, "repairer", config, pipeline.debug)
    _, funnel = kept_pairs(lab, "repairer", "debugging")
    return record | {"model": str(larger).rpartition("/")[2], "pairs": funnel}


def _first_repair(lab: Lab, name: str, config: Config, debug: Callable[[OpenedRun], object]) -> Record:
    """One repair of each first attempt that failed."""
    failing = [task_id for task_id, kinds in lab.records[RUN]["outcomes"].items() if kinds[0]]
    with lab.read(RUN) as own:
        tasks = [own.task(task_id) for task_id in failing]
    with lab.opened(name, config) as run:
        if not tasks:  # a trial of few tasks, all solved at once
            return outcomes(run.store, "debugging")
        _begin_with_paid_calls(lab, run)
        run.store.put_tasks(tasks)
        debug(run)
        return outcomes(run.store, "debugging")


def feedback_of_others(store: Store) -> Feedback:
    """What the failing first program of another task was told, drawn by the task's id."""
    told = [
        (trajectory.task_id, attempt.feedback)
        for trajectory in store.trajectories("debugging")
        for attempt in trajectory.attempts[:1]
        if attempt.feedback
    ]

    def other(task: Task, iteration: int, execution: Execution) -> str:
        texts = [text for task_id, text in told if task_id != task.task_id]
        return random.Random(fingerprint([task.task_id, iteration])).choice(texts) if texts else ""

    return other


def kept_pairs(lab: Lab, folder: str, source: str) -> tuple[list[PreferencePair], Record]:
    """The kept pairs of a run, and what became of all."""
    with lab.opened(folder, lab.experiment.config("pair", f"pairing.source={source}")) as run:
        tally = pipeline.pair(run)
        dropped = {row.name: row.dropped for row in tally.funnel if row.dropped}
        return list(run.store.pairs(kept=True)), {"found": tally.pairs, "kept": tally.kept, "dropped": dropped}


def outcomes(store: Store, origin: str) -> Record:
    """Task id → the kind of failure of each attempt ("" passed), and what the calls took."""
    calls, prompt_tokens, completion_tokens, _ = store.calls_of(origin)
    judged = [t for t in store.trajectories(origin) if t.status != "failed_tools"]
    return {
        "outcomes": {t.task_id: [failure_kind(a.execution, a.completion) for a in t.attempts] for t in judged},
        "calls": calls,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
    }
