"""A run's store → what its data are like: test coverage, sizes of differences, features, diagnoses of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

from iterpref.analysis import diagnosis
from iterpref.analysis.dataset import UnmeasuredRow, unmeasured
from iterpref.analysis.distributions import (
    CategoryRow,
    Distribution,
    PairCategories,
    categories,
    coverage,
    judge_scores,
    pair_categories,
)
from iterpref.records import Place
from iterpref.run_folder import FEATURE_TREE_NOTE, PAIR_FEATURES_NOTE
from iterpref.store import Store

from .charts import Bars, bars_chart
from .pair_facts import PairFacts

_MOST_CATEGORIES = 40


@dataclass(frozen=True)
class DataFacts:
    """Everything that the report says of the data itself; [] where nothing is known."""

    coverage: list[tuple[Distribution, Bars]]
    unmeasured: list[UnmeasuredRow]
    scores: list[tuple[Distribution, Bars]]
    differences: list[tuple[Distribution, Bars]]
    categories: list[CategoryRow]
    more_categories: int
    pair_categories: PairCategories | None
    diagnoses: list[diagnosis.DiagnosisRows]
    places: dict[Place, str]


def data_facts(store: Store, pairs: PairFacts) -> DataFacts:
    """All of them, each from the store's records alone."""
    tree = store.note(FEATURE_TREE_NOTE) or {}
    found = categories(tree.get("frequencies") or {})
    qualities = list(store.qualities())
    return DataFacts(
        coverage=_with_bars(coverage(qualities), "programs that pass"),
        unmeasured=unmeasured(qualities),
        scores=_with_bars(judge_scores(qualities), "programs"),
        differences=_with_bars(pairs.differences, "pairs"),
        categories=found[:_MOST_CATEGORIES],
        more_categories=max(0, len(found) - _MOST_CATEGORIES),
        pair_categories=_of_pairs(store),
        diagnoses=diagnosis.diagnosis_rows(diagnosis.diagnoses_of_pairs(store)),
        places=diagnosis.PLACES,
    )


def _of_pairs(store: Store) -> PairCategories | None:
    note = store.note(PAIR_FEATURES_NOTE)
    return pair_categories(note, store.pairs(kept=True)) if note else None


def _with_bars(found: Sequence[Distribution], what: str) -> list[tuple[Distribution, Bars]]:
    return [(distribution, bars_chart(distribution.name, distribution.bins, what)) for distribution in found]
