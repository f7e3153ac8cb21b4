"""A run's store → the facts of the report's data sections: coverage, sizes of differences, features, repairs, cost.

Each is None or [] where the run has none yet; the template then names the command that makes it.
Not here: evaluation (result_facts.py), pass rates and the funnel (debugging_facts.py), the numbers themselves
(iterpref.analysis).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from iterpref.analysis.distributions import CategoryRow, Distribution, categories, coverage, differences
from iterpref.analysis.repairs import Cost, RepairRow, repairs
from iterpref.run_folder import FEATURE_TREE_NOTE
from iterpref.store import Store
from iterpref.viewer.charts import Bars, bars_chart

_MOST_CATEGORIES = 40
# Origins of trajectories that repair programs, the first that a run has.
_REPAIRING = {"debugging": "debugging", "import": "recorded runs"}


@dataclass(frozen=True)
class Repairs:
    """Kinds of failure and what became of them; `iterations` heads the columns."""

    name: str
    iterations: list[int]
    rows: list[RepairRow]


@dataclass(frozen=True)
class DataFacts:
    """Everything that the report says of the data side of a run."""

    coverage: list[tuple[Distribution, Bars]]
    differences: list[tuple[Distribution, Bars]]
    categories: list[CategoryRow]
    more_categories: int
    repairs: Repairs | None
    cost: Cost | None


def data_facts(store: Store) -> DataFacts:
    """All of them, each from the store's records alone."""
    tree = store.note(FEATURE_TREE_NOTE) or {}
    found = categories(tree.get("frequencies") or {})
    return DataFacts(
        coverage=_with_bars(coverage(store.qualities()), "programs that pass"),
        differences=_with_bars(differences(store.pairs(kept=True)), "pairs"),
        categories=found[:_MOST_CATEGORIES],
        more_categories=max(0, len(found) - _MOST_CATEGORIES),
        repairs=_repairs(store),
        cost=cost(store),
    )


def cost(store: Store) -> Cost | None:
    """What debugging took, over the pairs of it that were kept; None for a run that debugged nothing."""
    trajectories = attempts = 0
    cpu_s = 0.0
    for trajectory in store.trajectories("debugging"):
        trajectories += 1
        attempts += len(trajectory.attempts)
        cpu_s += sum(attempt.execution.cpu_s for attempt in trajectory.attempts)
    if not trajectories:
        return None
    calls, prompt, completion, usd = store.calls_of("debugging")
    pairs = sum(pair.origin == "debugging" for pair in store.pairs(kept=True))
    counted = prompt + completion > 0
    return Cost(
        trajectories=trajectories,
        attempts=attempts,
        pairs=pairs,
        sandbox_cpu_s=cpu_s,
        calls=calls,
        prompt_tokens=prompt if counted else None,
        completion_tokens=completion if counted else None,
        usd=usd,
    )


def _repairs(store: Store) -> Repairs | None:
    for origin, name in _REPAIRING.items():
        rows = repairs(store.trajectories(origin))
        if rows:
            return Repairs(name, list(range(len(rows[0].tried))), rows)
    return None


def _with_bars(found: Sequence[Distribution], what: str) -> list[tuple[Distribution, Bars]]:
    return [(distribution, bars_chart(distribution.name, distribution.bins, what)) for distribution in found]
