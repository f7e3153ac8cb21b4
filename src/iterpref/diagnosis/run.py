"""The pairs of an opened run → their diagnoses by the configured client.

Not here: the continuations of one pair (diagnose.py), where they begin (places.py), shares over all pairs (`analysis`).
"""

from collections import Counter

from iterpref.clients import LocalConfig
from iterpref.diagnosis.diagnose import Diagnoser, DiagnosisProgress, Subject, diagnose
from iterpref.errors import ConfigError
from iterpref.opened_run import OpenedRun
from iterpref.records import DIAGNOSED
from iterpref.store import Store
from iterpref.waiting import wait_for

NO_TASK = "no task of this id, so no tests"
NO_WRONG_LINES = "the fix only inserts lines, so there is no D⁻"


def diagnose_run(run: OpenedRun) -> DiagnosisProgress:
    """Diagnose the run's kept pairs, and those dropped only for want of a diagnosis; a known one costs nothing.

    Raises:
        StoreError: There is no such pair.
        ConfigError: Several continuations of greedy decoding, which are equal.
        ClientError: The model is not there, has no chat template, or can't continue a begun turn.
        BudgetError, EndpointError: It must stop; what was paid for is stored.
    """
    settings = run.config.diagnosis
    if settings.samples > 1 and settings.sampling.temperature == 0:
        raise ConfigError(
            f"diagnosis.samples is {settings.samples} at temperature 0, where all continuations from a place are "
            "equal; set diagnosis.sampling.temperature, or samples to 1"
        )
    subjects, skipped = subjects_of(run.store)
    run.need(len(subjects) + skipped.total(), "kept pairs to diagnose", "iterpref pair makes them")
    chosen = subjects[: settings.pairs]
    progress = DiagnosisProgress(len(chosen), skipped)
    if not chosen:
        return progress
    client = run.config.client
    with run.ledger(client) as ledger, run.sandbox() as sandbox:
        anew = not isinstance(client, LocalConfig)
        diagnoser = Diagnoser(ledger, run.executor(sandbox), run.store, settings, run.config.seed, anew)
        return wait_for(diagnose(diagnoser, chosen, progress, run.shows("diagnose")))


def subjects_of(store: Store) -> tuple[list[Subject], Counter[str]]:
    """Pairs that can be diagnosed with their tasks, by id; and why how many others can't be."""
    subjects: list[Subject] = []
    skipped: Counter[str] = Counter()
    for pair in store.pairs():
        if not all(verdict.kept for verdict in pair.filters if verdict.name != DIAGNOSED):
            continue
        task = store.find_task(pair.task_id)
        if task is None:
            skipped[NO_TASK] += 1
        elif not pair.rejected_spans:
            skipped[NO_WRONG_LINES] += 1
        else:
            subjects.append((pair, task))
    return subjects, skipped
