"""Trajectory → focal preference pairs: which versions, which of their lines differ, and which pairs are worth keeping.

    settings = PairingConfig(negatives="each")
    with Store.open("runs/a") as store:
        store.replace_pairs(make_pairs(store, settings))
        write_dataset(Path("runs/a/pairs"), store.pairs(kept=True))

Without a run: `focal_pairs(task, trajectory)` of one trajectory, and of two texts of one's own
`focal_pair(ImportedPair(...), settings)` gives them their spans. No model is
asked but by `judge_pairs`. What is not named here is private.
"""

from iterpref.line_diff import ChangedSpans, changed_spans
from iterpref.pairing.decontamination import Benchmarks
from iterpref.pairing.filters import estimated_tokens
from iterpref.pairing.focal_pairs import focal_pairs
from iterpref.pairing.judge_pairs import JudgeProgress, judge_pairs, judgement_key
from iterpref.pairing.pair import focal_pair, make_pairs
from iterpref.pairing.pair_run import judge_run, pair_run
from iterpref.pairing.parquet import PARQUET, write_dataset

__all__ = [
    "PARQUET",
    "Benchmarks",
    "ChangedSpans",
    "JudgeProgress",
    "changed_spans",
    "estimated_tokens",
    "focal_pair",
    "focal_pairs",
    "judge_pairs",
    "judge_run",
    "judgement_key",
    "make_pairs",
    "pair_run",
    "write_dataset",
]
