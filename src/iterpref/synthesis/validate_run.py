"""The tasks of an opened run → how far their tests can be trusted, measured once and stored; and what to say of it.

Not here: the measuring of one task (validate.py), thresholds (pairing/quality.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from iterpref.opened_run import OpenedRun
from iterpref.records import Task, TestQuality, program_hash
from iterpref.store import Store
from iterpref.synthesis.validate import Validator


def validate_run(run: OpenedRun, stronger: Mapping[str, Task]) -> dict[str, Any]:
    """Measure what a run has not measured yet: tests by the programs that pass them, and those that fail again.

    `stronger`: tasks with stronger tests, by the id of the task they are for. Returns the summary of all measured now.
    """
    run.need(run.store.count_tasks(), "tasks to measure", "iterpref import brings some")
    settings, store = run.config.validation, run.store
    validator = Validator(settings, run.sandbox, run.config.seed, stronger, run.config.limits)

    def left(task: Task, program: str) -> bool:
        found = store.quality(task.task_id, program_hash(program))
        if found is None or found.failing or found.stale:
            return True
        steady = found.repeats_passed == found.repeats  # of others only the repeats are measured
        return steady and found.stronger is None and validator.stronger(task) is not None

    def unknown(task: Task, program: str) -> bool:
        found = store.quality(task.task_id, program_hash(program))
        return found is None or (found.failing and found.stale)

    passing = [subject for subject in passing_programs(store) if left(*subject)]
    failing = [subject for subject in failing_programs(store) if unknown(*subject)] if settings.failing else []
    total = len(passing) + len(failing)
    try:
        work = chain(validator.measure(validator.validate, passing), validator.measure(validator.run_again, failing))
        for done, quality in enumerate(work, start=1):
            earlier = store.quality(quality.task_id, quality.program_hash)
            store.put_quality(quality.model_copy(update={"judge": earlier.judge}) if earlier else quality)
            run.on_progress("validate", done, total, "")
    finally:
        validator.close()
    return summarize(store.qualities(), store.qualities(failing=True))


def passing_programs(store: Store) -> Iterator[tuple[Task, str]]:
    """Each task with the programs that stand for it: those that passed in its trajectories, else its reference."""
    for task in store.tasks():
        passed = {a.program.strip(): a.program for a in store.passed_attempts(task.task_id)}
        for program in passed.values() or filter(None, [task.reference]):
            yield task, program


def failing_programs(store: Store) -> Iterator[tuple[Task, str]]:
    """Each different program that failed in a trajectory with a passing one: what may become `rejected`."""
    seen: set[tuple[str, str]] = set()
    for trajectory in store.trajectories():
        if trajectory.status != "passed":
            continue
        for attempt in trajectory.attempts:
            key = (trajectory.task_id, program_hash(attempt.program))
            if not attempt.execution.passed and attempt.program.strip() and key not in seen:
                seen.add(key)
                yield store.task(trajectory.task_id), attempt.program


def summarize(qualities: Iterable[TestQuality], failing: Iterable[TestQuality] = ()) -> dict[str, Any]:
    """What was measured, over all tasks, and which tasks are in question: each with the cause."""
    found, wrong = list(qualities), list(failing)
    covered = [q.branch_coverage for q in found if q.branch_coverage is not None]
    scores = [q.mutation_score for q in found if q.mutation_score is not None]
    passing = [q for q in found if not q.never_passes]
    reasons = Counter((name, why) for q in passing for name, why in q.unmeasured.items())
    return {
        "programs": len(found),
        "never_pass": sum(q.never_passes for q in found),
        "flaky": sum(q.flaky for q in found),
        "stub_passes": sum(bool(q.passing_stubs) for q in found),
        "mean_branch_coverage": round(sum(covered) / len(covered), 4) if covered else None,
        "mean_mutation_score": round(sum(scores) / len(scores), 4) if scores else None,
        "mutation_score_below_0.8": sum(score < 0.8 for score in scores),
        "fail_stronger_tests": sum(q.stronger is False for q in found),
        "failing_programs": len(wrong),
        "failing_that_pass_at_times": sum(q.repeats_passed > 0 for q in wrong),
        "in_question": [{"task": q.task_id, "problem": problem} for q in found for problem in _problems(q)],
        "not_measured": [
            {"figure": name, "programs": count, "reason": why} for (name, why), count in reasons.most_common()
        ],
    }


def _problems(quality: TestQuality) -> Iterator[str]:
    if quality.never_passes:
        yield f"the program never passes ({quality.cause})"
    if quality.flaky:
        yield f"the program passed {quality.repeats_passed} of {quality.repeats} times ({quality.cause})"
    if quality.passing_stubs:
        yield f"a trivially wrong program passes ({', '.join(quality.passing_stubs)})"
    if quality.stronger is False:
        yield "the program fails the stronger tests"
