"""Diagnoses of pairs → the share of continuations that pass at each place, over all pairs and for each of them.

A place's share is the mean over the pairs that have it, each of which counts once; so is its standard error.
Focused-DPO (arXiv:2502.11475) reports pass@1 of 90.02 % for programs continued after the right middle part (our
`after_added`) and 3.17 % after the wrong one (`after_removed`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from iterpref.records import PairDiagnosis, Place
from iterpref.statistics import mean_and_error
from iterpref.store import Store

HOLDS = 0.5  # fall of the share from which on D⁻ is said to hold the fault
PLACES: dict[Place, str] = {
    "before_added": "chosen, before D⁺",
    "after_added": "chosen, after D⁺",
    "before_removed": "rejected, before D⁻",
    "after_first_removed": "rejected, after D⁻'s first hunk",
    "after_removed": "rejected, after D⁻",
}


@dataclass(frozen=True)
class PlaceRow:
    """Continuations from one place: of so many pairs, so many run and passed; `share` and its error are over pairs."""

    place: Place
    pairs: int
    run: int
    passed: int
    share: float
    error: float | None


@dataclass(frozen=True)
class DiagnosisRows:
    """All that one model continued in one way. A pair's D⁻ `holds` the fault (`PairDiagnosis.fall` of at least a half),
    or the model passes at least half the time after it (`passes_after`), or neither (`undecided`)."""

    model: str
    protocol: str
    pairs: int
    places: list[PlaceRow]
    holds: int
    passes_after: int
    undecided: int
    began_anew: int


def diagnosis_rows(diagnoses: Iterable[PairDiagnosis]) -> list[DiagnosisRows]:
    """One entry for each model and way of asking, the last one last."""
    groups: dict[tuple[str, str], list[PairDiagnosis]] = {}
    for diagnosis in diagnoses:
        groups.setdefault((diagnosis.model, diagnosis.protocol), []).append(diagnosis)
    return [_rows(model, protocol, found) for (model, protocol), found in groups.items()]


def diagnoses_of_pairs(store: Store) -> Iterator[PairDiagnosis]:
    """Those of the pairs that the run has now: pairing again leaves diagnoses of others behind."""
    every = list(store.diagnoses())
    there = {(pair.task_id, pair.content_hash) for pair in store.pairs()} if every else set()
    return (found for found in every if (found.task_id, found.content_hash) in there)


def summary_of(diagnoses: Sequence[PairDiagnosis]) -> dict[str, Any]:
    """What to say of one model's diagnoses: the table of places, the pairs by verdict, and each pair."""
    found = diagnosis_rows(diagnoses)
    if not found:
        return {}
    [rows] = found
    table = [
        {"place": row.place, "pass_rate": row.share, "stderr": row.error and round(row.error, 4)}
        | {"pairs": row.pairs, "passed": row.passed, "run": row.run}
        for row in rows.places
    ]
    return {
        "model": rows.model,
        "protocol": rows.protocol,
        "places": table,
        "fault_in_removed": rows.holds,
        "passes_after_removed": rows.passes_after,
        "undecided": rows.undecided,
        "began_anew": rows.began_anew,
        "by_pair": pair_rows(diagnoses),
    }


def pair_rows(diagnoses: Iterable[PairDiagnosis]) -> list[dict[str, Any]]:
    """Each pair with its shares, those first whose D⁻ takes least from them."""
    rows = [
        {"pair": found.pair_id, "fall": found.fall, "verdict": verdict_of_fault(found)}
        | {place: found.share(place) for place in PLACES}
        for found in diagnoses
    ]
    return sorted(rows, key=lambda row: (row["fall"] is not None, row["fall"] or 0.0, row["pair"]))


def verdict_of_fault(diagnosis: PairDiagnosis) -> str:
    """`holds`, `passes_after` or `undecided`; see `DiagnosisRows`."""
    if diagnosis.fall is not None and diagnosis.fall >= HOLDS:
        return "holds"
    return "passes_after" if (diagnosis.share("after_removed") or 0.0) >= HOLDS else "undecided"


def _rows(model: str, protocol: str, found: Sequence[PairDiagnosis]) -> DiagnosisRows:
    verdicts = Counter(map(verdict_of_fault, found))
    return DiagnosisRows(
        model=model,
        protocol=protocol,
        pairs=len(found),
        places=[row for place in PLACES if (row := _row(place, found))],
        holds=verdicts["holds"],
        passes_after=verdicts["passes_after"],
        undecided=verdicts["undecided"],
        began_anew=sum(continued.began_anew for diagnosis in found for continued in diagnosis.places),
    )


def _row(place: Place, found: Sequence[PairDiagnosis]) -> PlaceRow | None:
    there = [c for diagnosis in found for c in diagnosis.places if c.place == place and c.run]
    if not there:
        return None
    share, error = mean_and_error([continued.passed / continued.run for continued in there])
    run, passed = sum(continued.run for continued in there), sum(continued.passed for continued in there)
    return PlaceRow(place, len(there), run, passed, share, error)
