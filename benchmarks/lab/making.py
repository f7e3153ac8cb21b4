"""What is made once for a seed, by the package's own steps: a line in `MAKERS` for each kind of part of its data.

    debugging       the base's trajectories
    sampling        its independent draws
    diagnosed       its continuations of the pairs of debugging (docs/diagnose.md)
    taught:NAME     its first attempts, repaired by a teacher (teachers.py)

In: the part's run folder, opened, with the seed's tasks in it. Out: what became of it, with a hash that tells this data
from other data of the same plan, made elsewhere with other rounding.
"""

import time
from collections.abc import Callable

from iterpref import pipeline
from iterpref.analysis.diagnosis import HOLDS
from iterpref.analysis.funnel import pass_rate_by_iteration
from iterpref.config import Config, DiagnosisConfig, PairingConfig, SamplingConfig
from iterpref.demo import CONFIG
from iterpref.errors import StoreError
from iterpref.opened_run import OpenedRun
from iterpref.pairing import pair_run
from iterpref.records import fingerprint
from iterpref.store import Store

from .records import Record

# Of a `Spent` → of what is noted here: each program is one call.
SPENT = {"programs": "calls", "prompt_tokens": "prompt_tokens", "completion_tokens": "completion_tokens"}
TAUGHT = "taught:"


def _debugged(run: OpenedRun) -> Record:
    return _trajectories(run, "debugging")


def _sampled(run: OpenedRun) -> Record:
    return _trajectories(run, "sampling")


def _trajectories(run: OpenedRun, mode: str) -> Record:
    began = time.monotonic()
    settings = run.config.debugging.model_copy(update={"mode": mode, "draws": "all"})
    pipeline.debug(OpenedRun(run.store, run.config.model_copy(update={"debugging": settings})))
    trajectories = list(run.store.trajectories(mode))
    attempts = sorted([t.task_id, [[a.program, a.execution.verdict] for a in t.attempts]] for t in trajectories)
    calls, prompt, completion, _ = run.store.calls_of(mode)
    return {
        "passed": pass_rate_by_iteration(trajectories, settings.max_iterations),
        "calls": calls,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "hash": fingerprint(attempts),
        "seconds": round(time.monotonic() - began, 1),
    }


def _diagnosed(run: OpenedRun) -> Record:
    """Greedy continuations of the pairs of debugging, from the places of docs/diagnose.md, by the base itself."""
    began, before = time.monotonic(), _costs_before(run.store)
    pair_run(OpenedRun(run.store, run.config.model_copy(update={"pairing": PairingConfig(**CONFIG["pairing"])})))
    done = pipeline.diagnose(OpenedRun(run.store, _greedy(run.config)))
    if done.failed:
        raise StoreError(f"{run.store.folder}: {done.failed} of {done.total} pairs not diagnosed: {done.why_failed}")
    found = {f"{one.task_id} {one.content_hash}": one.fall for one in done.found}
    spent = [now - then for now, then in zip(_costs(run.store), before, strict=True)]
    return {
        "pairs": done.total,
        "holds": sum(1 for fall in found.values() if fall is not None and fall >= HOLDS),
        **dict(zip(SPENT.values(), spent, strict=True)),
        "hash": fingerprint(found),
        "seconds": round(time.monotonic() - began, 1),
    }


def _greedy(config: Config) -> Config:
    sampling = SamplingConfig(temperature=0.0, max_tokens=config.debugging.sampling.max_tokens)
    return config.model_copy(update={"diagnosis": DiagnosisConfig(samples=1, sampling=sampling)})


def _costs_before(store: Store) -> list[int]:
    """What the store's calls were before the first of these, which a killed process may have begun."""
    key = "lab:diagnosed:before"
    if store.note(key) is None:
        store.put_note(key, _costs(store))
    return list(store.note(key))


def _costs(store: Store) -> list[int]:
    counts = ((one.calls, one.prompt_tokens, one.completion_tokens) for one in store.costs())
    return [sum(column) for column in zip(*counts, strict=True)]


MAKERS: dict[str, Callable[[OpenedRun], Record]] = {
    "debugging": _debugged,
    "sampling": _sampled,
    "diagnosed": _diagnosed,
}


def make(run: OpenedRun, part: str) -> Record:
    """One part; with a teacher it is the run's configuration that names who repairs."""
    return MAKERS["debugging" if part.startswith(TAUGHT) else part](run)
