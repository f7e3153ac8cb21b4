"""A run's store and folder → the facts of each section of the report. None or [] where the run has none yet.

Each function reads what it needs, streamed, and computes; nothing is written and no model is called.
Not here: how it looks (`templates/`).
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from iterpref.analysis.compare import Comparison, compare
from iterpref.analysis.funnel import (
    ErrorRow,
    FilterRow,
    IterationRow,
    calls_per_pair,
    error_types,
    iteration_rows,
    pair_funnel,
)
from iterpref.debugging.feedback import feedback_text
from iterpref.errors import RecordError
from iterpref.records import Execution, PreferencePair, Result, Trajectory, as_messages
from iterpref.store import Store
from iterpref.viewer.charts import Chart, metric_chart, rates_chart
from iterpref.viewer.highlight import Line, highlighted

EXAMPLES = 3
TRAINING_LOG = "model/training_log.json"
_LIMIT_VERDICTS = {"timeout", "out_of_memory", "output_limit"}
# Origins of trajectories that a pass rate is shown for, the first that a run has.
_SOLVERS = {"debugging": "debugging", "import": "recorded runs", "sampling": "sampling"}
# Metrics of TRL's log that are worth a chart, in this order, with what they mean.
_METRICS = {
    "loss": "training loss",
    "rewards/margins": "chosen reward minus rejected reward",
    "rewards/accuracies": "share of pairs whose chosen reward is the higher one",
    "rewards/chosen": "β times the log-ratio of the chosen program, to the reference model",
    "rewards/rejected": "the same for the rejected program",
    "rewards/rejected_focal": "the same for the wrong lines of the rejected program",
    "logps/chosen": "log-probability of the chosen program",
    "logps/rejected": "log-probability of the rejected program",
    "logps/rejected_focal": "log-probability of the wrong lines",
    "mean_token_accuracy": "share of the chosen program's tokens that the model would pick",
    "grad_norm": "length of the gradient",
    "learning_rate": "learning rate",
}


@dataclass(frozen=True)
class Gain:
    """The first and the last Result on one benchmark; `comparison` is None where they can't be compared: see `why`."""

    benchmark: str
    protocol: str
    comparison: Comparison | None
    why: str = ""


@dataclass(frozen=True)
class Solving:
    """Debugging (or recorded runs) beside sampling, iteration by iteration; a side without rows has None."""

    name: str
    rows: list[tuple[int, IterationRow | None, IterationRow | None]]
    chart: Chart
    trajectories: int
    sampled: int
    shared_only: bool

    @property
    def last_shared(self) -> tuple[IterationRow, IterationRow] | None:
        """The last row that both sides have."""
        both = [(ours, theirs) for _, ours, theirs in self.rows if ours and theirs]
        return both[-1] if both else None


@dataclass(frozen=True)
class PairCounts:
    """From trajectories to kept pairs."""

    trajectories: int
    repaired: int
    candidates: int
    kept: int
    filters: list[FilterRow]
    calls_per_pair: float | None


@dataclass(frozen=True)
class Scored:
    """One Result with its samples counted by outcome."""

    result: Result
    tasks: int
    passed: int
    wrong: int
    raised: int
    limits: int
    other: int


@dataclass(frozen=True)
class Example:
    """A pair to look at: D⁻ and D⁺ are the focal lines of the two sides."""

    pair: PreferencePair
    prompt: str
    feedback: str
    rejected: list[Line]
    chosen: list[Line]


@dataclass(frozen=True)
class Isolation:
    """On which rungs programs ran, and what executions warned of."""

    rungs: Counter[str]
    trust: Counter[str]
    warnings: Counter[str]

    @property
    def unsafe(self) -> int:
        """Executions with resource limits only: the program could read and write what its user can."""
        return self.rungs["rlimits"]


def gains(store: Store) -> list[Gain]:
    """For each benchmark with at least two Results of one protocol: the first against the last."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in store.results():
        groups.setdefault((result.benchmark, result.dataset_hash, result.protocol), []).append(result)
    return [_gain(results[0], results[-1]) for results in groups.values() if len(results) > 1]


def _gain(first: Result, last: Result) -> Gain:
    try:
        return Gain(first.benchmark, first.protocol, compare(first, last))
    except RecordError as error:
        return Gain(first.benchmark, first.protocol, None, str(error))


def solving(store: Store) -> Solving | None:
    """Pass rate by iteration beside sampling's on the same tasks; imported runs stand in where none were debugged."""
    origin = next((o for o in _SOLVERS if store.count("trajectories", "origin = ?", o)), None)
    if origin is None:
        return None
    ours = {trajectory.task_id for trajectory in store.trajectories(origin)}
    sampled = {t.task_id for t in store.trajectories("sampling")} if origin == "debugging" else set()
    shared = ours & sampled if sampled else ours
    own_rows = iteration_rows(t for t in store.trajectories(origin) if t.task_id in shared)
    sampling_rows = iteration_rows(t for t in store.trajectories("sampling") if t.task_id in shared) if sampled else []
    if not own_rows:
        return None
    rates = {_SOLVERS[origin]: [row.pass_rate for row in own_rows]}
    if sampling_rows:
        rates["sampling"] = [row.pass_rate for row in sampling_rows]
    return Solving(
        name=_SOLVERS[origin],
        rows=[(i, a, b) for i, (a, b) in enumerate(zip_longest(own_rows, sampling_rows))],
        chart=rates_chart(rates, "repairs, or further draws"),
        trajectories=own_rows[0].trajectories,
        sampled=sampling_rows[0].trajectories if sampling_rows else 0,
        shared_only=bool(sampled) and ours != sampled,
    )


def pair_counts(store: Store) -> PairCounts | None:
    """The funnel; None while the run has no pairs at all, kept or dropped."""
    candidates = store.count("pairs")
    if not candidates:
        return None
    kept = store.count("pairs", "kept = 1")
    debugged = store.count("trajectories", "origin = 'debugging'")
    repaired = sum(1 for t in _repairing(store) if t.status == "passed" and not t.attempts[0].execution.passed)
    cost = calls_per_pair(store.trajectories("debugging"), kept) if debugged else None
    return PairCounts(
        trajectories=store.count("trajectories", "origin != 'sampling'"),
        repaired=repaired,
        candidates=candidates,
        kept=kept,
        filters=pair_funnel(store.pairs()),
        calls_per_pair=cost,
    )


def _repairing(store: Store) -> Iterator[Trajectory]:
    return (t for t in store.trajectories() if t.origin != "sampling" and t.attempts)


def failures(store: Store) -> list[ErrorRow]:
    """Error types of debugging and recorded runs, the most frequent first."""
    return error_types(_repairing(store))


def training_curves(store: Store) -> tuple[list[tuple[Chart, str]], str]:
    """Charts of TRL's log with what each metric means, and a sentence that says why where there are none."""
    path = store.folder / TRAINING_LOG
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
        entries = [entry for entry in log if "step" in entry]
    except FileNotFoundError:
        return [], f"No training yet: {TRAINING_LOG} is not there."
    except (OSError, ValueError, TypeError) as error:
        return [], f"{TRAINING_LOG} can't be read ({error}); train again to write it."
    charts = []
    for name, meaning in _METRICS.items():
        points = [(float(e["step"]), float(e[name])) for e in entries if isinstance(e.get(name), int | float)]
        points = [point for point in points if all(map(math.isfinite, point))]
        if len(points) > 1:
            charts.append((metric_chart(name, points), meaning))
    return charts, "" if charts else f"{TRAINING_LOG} has no metric with two or more logged steps."


def scored(store: Store) -> list[Scored]:
    """All Results in the order in which they were made."""
    return [_score(result) for result in store.results()]


def _score(result: Result) -> Scored:
    verdicts = Counter(sample.execution.verdict for sample in result.samples)
    limits = sum(verdicts[verdict] for verdict in verdicts if verdict in _LIMIT_VERDICTS)
    known = verdicts["passed"] + verdicts["failed"] + verdicts["error"] + limits
    return Scored(
        result=result,
        tasks=len({sample.task_id for sample in result.samples}),
        passed=verdicts["passed"],
        wrong=verdicts["failed"],
        raised=verdicts["error"],
        limits=limits,
        other=verdicts.total() - known,
    )


def examples(store: Store) -> list[Example]:
    """Kept pairs of different tasks, of different error types as far as there are."""
    by_error: dict[str, PreferencePair] = {}
    by_task: dict[str, PreferencePair] = {}
    for pair in store.pairs(kept=True):
        if pair.task_id not in by_task and len(by_task) < EXAMPLES:
            by_task[pair.task_id] = pair
        if pair.error_type not in by_error and pair.task_id not in {p.task_id for p in by_error.values()}:
            by_error[pair.error_type] = pair
        if len(by_error) == EXAMPLES:
            break
    taken = list(by_error.values())
    taken += [pair for task_id, pair in by_task.items() if task_id not in {p.task_id for p in taken}]
    return [_example(store, pair) for pair in taken[:EXAMPLES]]


def _example(store: Store, pair: PreferencePair) -> Example:
    trajectory = store.trajectory(pair.trajectory_id) if pair.trajectory_id else None
    attempts = trajectory.attempts if trajectory else ()
    failed = next((a for a in attempts if a.iteration == pair.rejected_iteration), None)
    return Example(
        pair=pair,
        prompt="\n\n".join(message.content for message in as_messages(pair.prompt)),
        feedback=(failed.feedback or feedback_text(failed.execution)) if failed else "",
        rejected=highlighted(pair.rejected, pair.rejected_spans),
        chosen=highlighted(pair.chosen, pair.chosen_spans),
    )


def isolation(store: Store) -> Isolation:
    """Every execution behind the report's numbers: attempts and samples."""
    rungs: Counter[str] = Counter()
    trust: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    for execution in _executions(store):
        rungs[execution.isolation] += 1
        trust[execution.trust] += 1
        warnings.update(execution.warnings)
    return Isolation(rungs, trust, warnings)


def _executions(store: Store) -> Iterator[Execution]:
    for trajectory in store.trajectories():
        yield from (attempt.execution for attempt in trajectory.attempts)
    for result in store.results():
        yield from (sample.execution for sample in result.samples)


def is_playground(store: Store) -> bool:
    """Whether any task or Result comes from the playground, whose mistakes are planted."""
    return store.count("tasks", "task_id LIKE 'playground/%'") + store.count("results", "benchmark = 'playground'") > 0
