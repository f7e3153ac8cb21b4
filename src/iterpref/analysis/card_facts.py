"""A run's store → what its dataset card (`prompts/dataset_card.jinja`) states."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from iterpref.analysis.funnel import IterationRow, PairTally, iteration_rows
from iterpref.records import TestQuality
from iterpref.store import ClientCosts, Store

BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class QualityRow:
    """Programs whose tests have a measure in [low, high), or that reach 1."""

    label: str
    line_coverage: int
    branch_coverage: int
    mutation_score: int


@dataclass(frozen=True)
class DatasetFacts:
    """What stands behind a run's kept pairs. `iterations`: by origin of trajectories; `origins`: those of the pairs."""

    pairs: int
    origins: set[str]
    tasks: int
    solved: int
    iterations: dict[str, list[IterationRow]]
    funnel: list[tuple[str, int]]
    costs: list[ClientCosts]
    licenses: dict[str, int]
    quality: list[QualityRow]
    measured: int
    flaky: int
    stub_passes: int
    contamination: list[tuple[str, str]]

    @property
    def calls_per_pair(self) -> float | None:
        """Model calls of the trajectories behind each kept pair (paper: about 10.4); None without any."""
        calls = sum(self.iterations[origin][-1].calls for origin in self.origins if self.iterations.get(origin))
        return calls / self.pairs if calls else None


def card_facts(store: Store, tally: PairTally) -> DatasetFacts:
    """What a run's records say, and all of its pairs."""
    made = store.trajectories_by_origin()
    origins = [origin for origin in ("debugging", "sampling") if origin in made]
    qualities = list(store.qualities())
    return DatasetFacts(
        pairs=tally.kept,
        origins=tally.origins,
        tasks=store.count_tasks(),
        solved=store.count_solved(),
        iterations={origin: iteration_rows(store.trajectories(origin)) for origin in origins},
        funnel=[("candidates", tally.pairs), *((row.name, row.left) for row in tally.funnel)],
        costs=store.costs(),
        licenses=store.licenses(),
        quality=quality_histogram(qualities),
        measured=len(qualities),
        flaky=sum(quality.repeats_passed < quality.repeats for quality in qualities),
        stub_passes=sum(bool(quality.passing_stubs) for quality in qualities),
        contamination=tally.contamination,
    )


def quality_histogram(qualities: Sequence[TestQuality]) -> list[QualityRow]:
    """Programs by coverage and mutation score, in five steps and 1 itself; what was not measured counts nowhere."""
    lines = _binned(quality.line_coverage for quality in qualities)
    branches = _binned(quality.branch_coverage for quality in qualities)
    mutation = _binned(quality.mutation_score for quality in qualities)
    labels = [f"{low:.1f} to {high:.1f}" for low, high in pairwise(BINS)] + ["1"]
    return [QualityRow(label, lines[i], branches[i], mutation[i]) for i, label in enumerate(labels)]


def _binned(values: Iterable[float | None]) -> Counter[int]:
    """Bin number → count; the last bin holds exactly 1."""
    return Counter(min(int(value * 5 + 1e-9), 5) for value in values if value is not None)
