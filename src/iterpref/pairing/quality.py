"""What is known of a pair beyond its syntax → further verdicts: tests, judge, diagnosis, people, benchmarks, near
duplicates.

Nothing is executed or asked here: test quality (`iterpref validate`), judgements (`iterpref judge`), diagnoses
(`iterpref diagnose`) and review marks (`iterpref view`) are read from the run, so that thresholds can be changed and
pairs made again at no cost.
"""

from collections.abc import Iterator
from pathlib import Path

from iterpref.config import PairingConfig
from iterpref.pairing.decontamination import Benchmarks
from iterpref.pairing.filters import verdict_of
from iterpref.pairing.judge_pairs import judgement_key
from iterpref.programs import extract_program
from iterpref.records import DIAGNOSED, FilterVerdict, PairDiagnosis, PreferencePair, TestQuality, program_hash
from iterpref.store import Store, read_marks


class QualityFilters:
    """The filters that read more than the pair; those that are not configured say nothing."""

    def __init__(self, store: Store, settings: PairingConfig) -> None:
        self._store = store
        self._settings = settings
        self._benchmarks = Benchmarks(settings.benchmarks) if settings.benchmarks else None
        self._marks = read_marks(store.folder) if settings.reviewed != "ignore" else {}
        self._seen = None
        if settings.near_duplicates is not None:
            from iterpref.pairing.near_duplicates import NearDuplicates

            self._seen = NearDuplicates(settings.near_duplicates)
            for folder in settings.other_runs:
                with Store.open(folder, write=False) as other:
                    for pair in other.pairs(kept=True):
                        self._seen.first_like(pair, f"{Path(folder).name}:{pair.pair_id}")

    def check(self, pair: PreferencePair) -> PreferencePair:
        """The pair with these verdicts after those it has."""
        verdicts = [*pair.filters, *self._verdicts(pair)]
        # Only pairs that are kept are remembered: a dropped one must not take another with it.
        if self._seen is not None and all(verdict.kept for verdict in verdicts):
            earlier = self._seen.first_like(pair)
            verdicts.append(verdict_of("near_duplicate", earlier is None, f"nearly the same as {earlier}"))
        return pair.model_copy(update={"filters": tuple(verdicts)})

    def _verdicts(self, pair: PreferencePair) -> Iterator[FilterVerdict]:
        if pair.origin != "import":
            quality = self._store.quality(pair.task_id, program_hash(extract_program(pair.chosen)))
            rejected = self._store.quality(pair.task_id, program_hash(extract_program(pair.rejected)))
            # Measured as a passing program, it passed at least once.
            at_times = rejected is not None and (not rejected.failing or rejected.repeats_passed > 0)
            if quality is not None or at_times or self._thresholds or self._settings.min_judge_score is not None:
                yield self._tests(quality, at_times)
        judgement = self._store.judgement(judgement_key(pair))
        if judgement is not None:
            logical, reason = judgement
            yield verdict_of("judge", logical, f"the judge calls the difference cosmetic: {reason}")
        elif self._settings.require_judge:
            yield verdict_of("judge", False, "not judged; run iterpref judge")
        if self._settings.diagnosed is not None:
            yield self._fault(self._store.diagnosis(pair), self._settings.diagnosed)
        if self._settings.reviewed != "ignore":
            yield self._review(pair)
        if self._benchmarks is not None:
            yield self._contamination(pair, self._benchmarks)

    def _review(self, pair: PreferencePair) -> FilterVerdict:
        mark = self._marks.get(pair.pair_id)
        word = mark.mark if mark is not None and mark.content_hash == pair.content_hash else ""
        if word == "reject":
            return verdict_of("review", False, "rejected in review")
        accepted = word == "accept" or self._settings.reviewed == "not_rejected"
        return verdict_of("review", accepted, "not accepted in review; iterpref view shows the pairs")

    def _fault(self, diagnosis: PairDiagnosis | None, least: float) -> FilterVerdict:
        """Whether D⁻ holds the fault, by the last model that was let continue."""
        if diagnosis is None:
            why = "not diagnosed; run iterpref diagnose (without tests of its task a pair can't be)"
            return verdict_of(DIAGNOSED, False, why)
        if diagnosis.fall is None:
            return verdict_of(DIAGNOSED, False, "nothing could be continued on one side of D⁻")
        why = f"D⁻ takes less than {least:g} from the share of continuations that pass"
        return verdict_of(DIAGNOSED, diagnosis.fall >= least, why)

    @property
    def _thresholds(self) -> dict[str, float]:
        names = ("line_coverage", "branch_coverage", "mutation_score")
        wanted = {name: getattr(self._settings, f"min_{name}") for name in names}
        return {name: least for name, least in wanted.items() if least is not None}

    def _tests(self, quality: TestQuality | None, rejected_passes: bool) -> FilterVerdict:
        problems = ["the rejected program passes at times"] if rejected_passes else []
        if quality is None:
            problems = problems or ["its tests were not measured; run iterpref validate"]
            return verdict_of("tests", False, problems[0])
        if quality.never_passes:
            problems.append("the chosen program no longer passes")
        if quality.flaky:
            problems.append("the chosen program passes only sometimes")
        if quality.passing_stubs:
            problems.append(f"a trivially wrong program passes ({', '.join(quality.passing_stubs)})")
        if quality.stronger is False:
            problems.append("the chosen program fails the stronger tests")
        for name, least in self._thresholds.items():
            value = getattr(quality, name)
            if value is not None and value < least:
                problems.append(f"{name.replace('_', ' ')} below {least:g}")
        unmeasured = list(self._unmeasured(quality)) if not quality.never_passes else []
        problems += unmeasured if self._settings.unmeasured == "drop" else []
        least_score = self._settings.min_judge_score
        if least_score is not None:
            problems += [f"judged {name} below {least_score}" for name, s in quality.judge.items() if s < least_score]
            problems += [] if quality.judge else ["not judged; run iterpref judge --tests"]
        # What could not be measured is said also of a pair that is kept.
        return FilterVerdict(name="tests", kept=not problems, reason="; ".join(problems or unmeasured))

    def _unmeasured(self, quality: TestQuality) -> Iterator[str]:
        """The figures that a pair is held to and that could not be had, with the reason."""
        always = ("repeats", "passing_stubs", "stronger")
        lacking = {name for name in self._thresholds if getattr(quality, name) is None}
        for name in sorted(lacking | {name for name in always if name in quality.unmeasured}):
            yield f"{name.replace('_', ' ')} not measured: {quality.unmeasured.get(name, 'no reason stored')}"

    def _contamination(self, pair: PreferencePair, benchmarks: Benchmarks) -> FilterVerdict:
        """Imports of a benchmark are flagged only: that is what they are."""
        hits = benchmarks.hits(pair)
        kept = not hits or pair.origin == "import" or pair.task_id.split("~")[0] in hits
        reason = f"close to {', '.join(hits[:3])}" if hits else ""
        return FilterVerdict(name="contamination", kept=kept, reason=reason)
