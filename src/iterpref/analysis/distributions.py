"""Distributions of a run's data for its report, as counts by bin, and features by category.

The paper's Fig. 7 (coverage), Fig. 8 (a judge's scores) and Table 17 (features), and the sizes of D⁻ and D⁺.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iterpref.records import PreferencePair, TestQuality, merged

SEPARATOR = "---"  # between the names of a feature's path
_SIZES = (0, 1, 2, 3, 4, 5, 10, 20, 50)  # upper bounds of the bins of counts; the last one is open
_TENTHS = 10


@dataclass(frozen=True)
class Distribution:
    """Values counted by bin, in order; every bin is listed, the empty ones too."""

    name: str
    bins: tuple[tuple[str, int], ...]
    values: int
    mean: float
    median: float
    shares: bool = False  # values are shares from 0 to 1


@dataclass(frozen=True)
class CategoryRow:
    """One top category of a feature tree: its features, their share of all, and how often the category was seen."""

    name: str
    features: int
    share: float
    frequency: float


def coverage(qualities: Iterable[TestQuality]) -> list[Distribution]:
    """Line and branch coverage and mutation score of the tests, each over the programs for which it was measured."""
    measured = list(qualities)
    columns = {
        "line coverage": [q.line_coverage for q in measured],
        "branch coverage": [q.branch_coverage for q in measured],
        "mutation score": [q.mutation_score for q in measured],
    }
    found = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return [by_tenths(name, values) for name, values in found.items() if values]


def judge_scores(qualities: Iterable[TestQuality]) -> list[Distribution]:
    """A judge's scores of the tests, from 1 to 5, each over the programs whose tests were judged (paper: Fig. 8)."""
    found: dict[str, list[int]] = {}
    for quality in qualities:
        for name, score in quality.judge.items():
            found.setdefault(name, []).append(score)
    return [
        _distribution(name, tuple((str(score), values.count(score)) for score in range(1, 6)), values)
        for name, values in sorted(found.items())
    ]


@dataclass(frozen=True)
class PairCategoryRow:
    """One category: features that a model named in the chosen and in the rejected programs, per 1,000 of each."""

    name: str
    chosen: float
    rejected: float


@dataclass(frozen=True)
class PairCategories:
    """Features of so many kept pairs, named by a model; `mean` is over the categories."""

    pairs: int
    model: str
    rows: list[PairCategoryRow]
    mean: PairCategoryRow


def pair_categories(note: Mapping[str, Any], kept: Iterable[PreferencePair]) -> PairCategories | None:
    """The paper's Table 17 of the pairs that are kept now, the largest category first; None where none was counted.

    Args:
        note: What `iterpref judge --features` left: counts of both sides by a pair's content hash.
    """
    noted = note.get("pairs") or {}
    counted = [noted[name] for name in {pair.content_hash for pair in kept} if name in noted] if noted else []
    if not counted:
        return None

    def per_thousand(side: str, name: str) -> float:
        return 1000 * float(sum(counts[side].get(name, 0) for counts in counted)) / len(counted)

    names = note["categories"]
    rows = [PairCategoryRow(name, per_thousand("chosen", name), per_thousand("rejected", name)) for name in names]
    mean = PairCategoryRow(
        "mean", statistics.fmean(row.chosen for row in rows), statistics.fmean(row.rejected for row in rows)
    )
    return PairCategories(len(counted), note["model"], sorted(rows, key=lambda row: (-row.chosen, row.name)), mean)


def differences(pairs: Iterable[PreferencePair]) -> list[Distribution]:
    """Sizes of what differs: lines and runs of lines of D⁻ and D⁺, and the share of the rejected text that is D⁻."""
    sizes: dict[str, list[int]] = {
        "wrong lines (D⁻) per pair": [],
        "new lines (D⁺) per pair": [],
        "runs of wrong lines per pair": [],
        "characters per run of wrong lines": [],
    }
    lines, added, runs, lengths = sizes.values()
    shares = []
    for pair in pairs:
        run_lengths = [stop - start for start, stop in merged(pair.rejected_spans)]
        lines.append(len(pair.rejected_spans))
        added.append(len(pair.chosen_spans))
        runs.append(len(run_lengths))
        lengths += run_lengths
        shares.append(sum(run_lengths) / len(pair.rejected))
    if not shares:
        return []
    return [
        *(by_size(name, values) for name, values in sizes.items() if values),
        by_tenths("share of the rejected text that is wrong", shares),
    ]


def by_tenths(name: str, values: Sequence[float]) -> Distribution:
    """Shares in ten bins of equal width, labelled in percent; the last one holds 1, too."""
    counts = Counter(min(int(value * _TENTHS), _TENTHS - 1) for value in values)
    bins = tuple((f"{10 * i}–{10 * (i + 1)}", counts[i]) for i in range(_TENTHS))
    return _distribution(name, bins, values, shares=True)


def by_size(name: str, values: Sequence[int]) -> Distribution:
    """Counts from 0 on; bins grow with the size, and end with the last one that holds a value."""
    bounds = _SIZES if max(values) <= 100 else (10, 20, 50, 100, 200, 500, 1000)
    ranges = list(zip((-1, *bounds), (*bounds, None), strict=True))
    bins = [
        (_label(low + 1, high), sum(low < value and (high is None or value <= high) for value in values))
        for low, high in ranges
    ]
    while bins and not bins[-1][1]:
        bins.pop()
    return _distribution(name, tuple(bins), values)


def categories(frequencies: Mapping[str, float]) -> list[CategoryRow]:
    """The top categories of a feature tree, the largest first: what tasks were drawn from, not what pairs have.

    Args:
        frequencies: Path of a feature, its names joined by `---` → how often it was seen. A path of one name is a
            category.
    """
    below = Counter(path.split(SEPARATOR)[0] for path in frequencies if SEPARATOR in path)
    whole = max(1, below.total())
    tops = {path: count for path, count in frequencies.items() if SEPARATOR not in path}
    rows = [CategoryRow(name, below[name], below[name] / whole, count) for name, count in tops.items()]
    return sorted(rows, key=lambda row: (-row.features, row.name))


def _label(low: int, high: int | None) -> str:
    if high is None:
        return f"≥ {low}"
    return str(low) if low == high else f"{low}–{high}"


def _distribution(
    name: str, bins: tuple[tuple[str, int], ...], values: Sequence[float], shares: bool = False
) -> Distribution:
    return Distribution(name, bins, len(values), statistics.fmean(values), statistics.median(values), shares)
