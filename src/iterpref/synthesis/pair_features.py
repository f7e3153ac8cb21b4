"""Kept pairs → the features of their programs by category, named by a model: the paper's Table 17, of both sides.

In: kept pairs, drawn by the run's seed, and a ledger. Out: a note with counts by pair, for the report; a pair that is
made anew or dropped no longer counts there. The question is the one by which snippets grow a feature tree.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iterpref.clients import Completion, Ledger, Request, Sampling, ask_all
from iterpref.errors import ClientError, RecordError
from iterpref.opened_run import OpenedRun
from iterpref.programs import code_of
from iterpref.prompts import json_answer
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import PreferencePair, fingerprint
from iterpref.run_folder import FEATURE_TREE_NOTE, PAIR_FEATURES_NOTE
from iterpref.store import Store
from iterpref.synthesis.features import Feature, load_tree
from iterpref.waiting import wait_for

SIDES = ("chosen", "rejected")


@dataclass
class PairFeaturesProgress:
    """Counts of one round: programs that were asked about, two a pair."""

    pairs: int = 0
    total: int = 0
    done: int = 0
    features: int = 0
    without_answer: int = 0
    failed_calls: int = 0
    why_failed: str = ""

    @property
    def note(self) -> str:
        return f"{self.features} features"


def count_features_run(run: OpenedRun) -> PairFeaturesProgress:
    """Count the features of an opened run's kept pairs, by its judge.

    Raises:
        StoreError: No pair is kept.
        BudgetError, EndpointError: It must stop; what was answered is stored, and not asked for again.
    """
    kept = run.store.kept_pair_ids()
    run.need(len(kept), "kept pairs to count features of", "iterpref pair makes them")
    draw = random.Random(fingerprint([run.config.seed, "pair features"]))
    names = draw.sample(kept, min(run.config.synthesis.counted_pairs, len(kept)))
    pairs = [pair for name in names if (pair := run.store.pair(name)) is not None]
    tree = run.store.note(FEATURE_TREE_NOTE)
    categories = list((tree or {}).get("features") or load_tree(run.config.synthesis.tree).children)
    prompts = run.prompts
    with run.judge_ledger() as ledger:
        counting = PairFeatures(run.store, ledger, categories, prompts)
        return wait_for(counting.run(pairs, run.shows("features")))


@dataclass(frozen=True)
class PairFeatures:
    """The tools of counting: programs' features are counted under these categories."""

    store: Store
    ledger: Ledger
    categories: Sequence[str]
    prompts: Prompts = SHIPPED

    async def run(self, pairs: Sequence[PreferencePair], on_progress: Any = lambda p: None) -> PairFeaturesProgress:
        """Count and note; also where it must stop, as far as it came."""
        progress = PairFeaturesProgress(pairs=len(pairs), total=len(SIDES) * len(pairs))
        found: dict[str, dict[str, dict[str, int]]] = {}
        sampling = Sampling(temperature=0, max_tokens=1024)
        sides = [(pair, side) for pair in pairs for side in SIDES]
        asked = ((key, Request.from_user(self._question(*key), sampling)) for key in sides)
        try:
            async for (pair, side), answer in ask_all(self.ledger, asked):
                counts = self._counts(answer, progress)
                if counts is not None:
                    found.setdefault(pair.content_hash, {})[side] = counts
                progress.done += 1
                on_progress(progress)
        finally:
            whole = {name: counts for name, counts in found.items() if len(counts) == len(SIDES)}
            if whole:
                value = {"model": self.ledger.name, "categories": list(self.categories), "pairs": whole}
                self.store.put_note(PAIR_FEATURES_NOTE, value)
        return progress

    def _question(self, pair: PreferencePair, side: str) -> str:
        code = code_of(pair.chosen if side == "chosen" else pair.rejected)
        return self.prompts.render("extract_features", code=code, categories=list(self.categories))

    def _counts(self, answer: Completion | ClientError, progress: PairFeaturesProgress) -> dict[str, int] | None:
        """Features by category in a reply; None if there are none."""
        if isinstance(answer, ClientError):
            progress.failed_calls += 1
            progress.why_failed = progress.why_failed or str(answer)
            return None
        try:
            tree = Feature.read(json_answer(answer.text), {}, "reply")
        except RecordError:
            tree = Feature()
        counts = Counter(path[0] for path in tree.paths() if len(path) > 1 and path[0] in self.categories)
        progress.features += counts.total()
        progress.without_answer += not counts
        return dict(counts) if counts else None
