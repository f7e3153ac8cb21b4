"""What the data of a run is like: the facts of its dataset card, whose words are in `prompts/dataset_card.jinja`.

Not here: distributions for the report (distributions.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from iterpref.analysis.funnel import IterationRow, PairTally, iteration_rows
from iterpref.records import TestQuality, Trajectory
from iterpref.store import ClientCosts, Store

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the card


@dataclass(frozen=True)
class QualityRow:
    """Programs whose tests have a measure in [low, high), or that reach 1."""

    label: str
    line_coverage: int
    branch_coverage: int
    mutation_score: int


@dataclass(frozen=True)
class UnmeasuredRow:
    """A figure on tests that could not be had, or not wholly, for so many programs, and why."""

    figure: str
    programs: int
    reason: str


@dataclass(frozen=True)
class SolverRows:
    """Finished trajectories of one origin and one client (or student and teacher), and how many tasks they try."""

    origin: str
    client: str
    tasks: int
    rows: list[IterationRow]


@dataclass(frozen=True)
class DatasetFacts:
    """What stands behind a run's kept pairs; `origins` are those of the pairs."""

    pairs: int
    origins: set[str]
    tasks: int
    solved: int
    solvers: list[SolverRows]
    funnel: list[tuple[str, int]]
    costs: list[ClientCosts]
    licenses: dict[str, int]
    quality: list[QualityRow]
    unmeasured: list[UnmeasuredRow]
    measured: int
    never_pass: int
    flaky: int
    stub_passes: int
    contamination: list[tuple[str, str]]

    @property
    def calls_per_pair(self) -> float | None:
        """Model calls of the trajectories behind each kept pair (paper: about 10.4); None without any."""
        calls = sum(solver.rows[-1].calls for solver in self.solvers if solver.origin in self.origins)
        return calls / self.pairs if calls else None


def card_facts(store: Store, tally: PairTally) -> DatasetFacts:
    """What a run's records say, and all of its pairs."""
    qualities = list(store.qualities())
    return DatasetFacts(
        pairs=tally.kept,
        origins=tally.origins,
        tasks=store.count_tasks(),
        solved=store.count_solved(),
        solvers=[*solvers(store, "debugging"), *solvers(store, "sampling")],
        funnel=[("candidates", tally.pairs), *((row.name, row.left) for row in tally.funnel)],
        costs=store.costs(),
        licenses=store.licenses(),
        quality=quality_histogram(qualities),
        unmeasured=unmeasured(qualities),
        measured=len(qualities),
        never_pass=sum(quality.never_passes for quality in qualities),
        flaky=sum(quality.flaky for quality in qualities),
        stub_passes=sum(bool(quality.passing_stubs) for quality in qualities),
        contamination=tally.contamination,
    )


def solvers(store: Store, origin: str) -> list[SolverRows]:
    """One by one, for the tasks of two clients are no tasks more, and their rates no one's."""
    clients = sorted({trajectory.client for trajectory in store.trajectories(origin)})
    found = []
    for client in clients:
        tasks: set[str] = set()
        rows = iteration_rows(_noting(tasks, (t for t in store.trajectories(origin) if t.client == client)))
        if rows:
            found.append(SolverRows(origin, client, len(tasks), rows))
    return found


def _noting(tasks: set[str], trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    for trajectory in trajectories:
        if trajectory.status != "failed_tools" and trajectory.attempts:
            tasks.add(trajectory.task_id)
        yield trajectory


def quality_histogram(qualities: Sequence[TestQuality]) -> list[QualityRow]:
    """Programs by coverage and mutation score, in five steps and 1 itself; what was not measured counts nowhere."""
    lines = _binned(quality.line_coverage for quality in qualities)
    branches = _binned(quality.branch_coverage for quality in qualities)
    mutation = _binned(quality.mutation_score for quality in qualities)
    labels = [f"{low:.1f} to {high:.1f}" for low, high in pairwise(BINS)] + ["1"]
    return [QualityRow(label, lines[i], branches[i], mutation[i]) for i, label in enumerate(labels)]


def unmeasured(qualities: Iterable[TestQuality]) -> list[UnmeasuredRow]:
    """What could not be measured on programs that pass, the most frequent first."""
    passing = (quality for quality in qualities if not quality.never_passes)
    counts = Counter((name, reason) for quality in passing for name, reason in quality.unmeasured.items())
    return [UnmeasuredRow(name.replace("_", " "), count, reason) for (name, reason), count in counts.most_common()]


def _binned(values: Iterable[float | None]) -> Counter[int]:
    """Bin number → count; the last bin holds exactly 1."""
    return Counter(min(int(value * 5 + 1e-9), 5) for value in values if value is not None)
