"""Trajectory → focal preference pairs; no model, and no execution but for `failing_path`: repeated at no cost.

Chosen is the first version that passes its tests; rejected is one version before it that failed, or each of them
(`negatives`; the paper found one at random best). Of sampling runs every passing draw is chosen once. Both are rendered
by one template, so that the prose of a debugging reply never enters the loss; the prompt is the task's own, never the
feedback turn. Imported pairs keep their text.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from iterpref.config import PairingConfig
from iterpref.errors import ConfigError
from iterpref.line_diff import DIFF_VERSION, anchors, changed_spans
from iterpref.pairing.filters import CountTokens, Filters, estimated_tokens
from iterpref.pairing.quality import QualityFilters
from iterpref.programs import code_lines, fenced
from iterpref.records import (
    Attempt,
    ImportedPair,
    PreferencePair,
    Prompt,
    Span,
    Task,
    Trajectory,
    as_messages,
    fingerprint,
)
from iterpref.store import Store

# A task and a failing attempt → the lines of its program that ran in the failing call, if that is known.
Path = Callable[[Task, Attempt], frozenset[int] | None]


def make_pairs(
    store: Store,
    settings: PairingConfig,
    seed: int = 0,
    count_tokens: CountTokens = estimated_tokens,
    path: Path | None = None,
    told: Callable[[], None] = lambda: None,
) -> Iterator[PreferencePair]:
    """All pairs of a run, checked by the filters: those of its trajectories, then the imported ones; streamed.

    `settings.source` says whose trajectories: programs of sampling runs were not made from one another. With `path` D⁻
    is cut down to lines that ran. `told` is called when all pairs of a trajectory, or an imported one, are made.
    """
    filters, quality = Filters(settings, count_tokens), QualityFilters(store, settings)
    for candidate, entry_point, cut in _candidates(store, settings, seed, path, told):
        yield quality.check(filters.check(candidate, entry_point, cut))


def _candidates(
    store: Store, settings: PairingConfig, seed: int, path: Path | None, told: Callable[[], None]
) -> Iterator[tuple[PreferencePair, str | None, bool]]:
    """With each its task's entry point, and whether its rejected program was cut."""
    for trajectory in store.trajectories():
        if (trajectory.origin == "sampling") == (settings.source == "sampling"):
            task = store.task(trajectory.task_id)
            for made in pairs_of(task, trajectory, settings, seed, path):
                yield made, task.entry_point, is_cut(made, trajectory)
        told()
    for imported in store.imported_pairs():
        yield focal_pair(imported, settings), None, False
        told()


def pairs_of(
    task: Task, trajectory: Trajectory, settings: PairingConfig, seed: int = 0, path: Path | None = None
) -> list[PreferencePair]:
    """The pairs of one trajectory before any filter; none when no version passes, or none fails before."""
    prompt = _prompt(task, settings)
    return [
        _pair_of(task, trajectory, chosen, rejected, prompt, settings, path)
        for chosen, failing in _chosen_with_failing(trajectory)
        for rejected in _negatives(failing, settings, _draw_key(seed, trajectory, chosen))
    ]


def is_cut(pair: PreferencePair, trajectory: Trajectory) -> bool:
    """Whether the rejected program of a pair of this trajectory was cut at the token limit."""
    return any(attempt.cut for attempt in trajectory.attempts if attempt.iteration == pair.rejected_iteration)


def _draw_key(seed: int, trajectory: Trajectory, chosen: Attempt) -> str:
    """What decides a random negative: in sampling also which draw it is paired with."""
    key = f"{seed}:{trajectory.trajectory_id}"
    return f"{key}:{chosen.iteration}" if trajectory.origin == "sampling" else key


def _chosen_with_failing(trajectory: Trajectory) -> Iterator[tuple[Attempt, tuple[Attempt, ...]]]:
    """Each version that may be chosen, with the failing ones it may be paired with.

    Debugging: the first that passes, with those before it. Sampling: every passing draw with every failing one
    (passing × failing, the PvF of Code-Optimise), as draws have no order.
    """
    attempts = trajectory.attempts
    if trajectory.origin == "sampling":
        failing = tuple(attempt for attempt in attempts if not attempt.execution.passed)
        passing = [attempt for attempt in attempts if attempt.execution.passed]
    else:
        first = next((i for i, attempt in enumerate(attempts) if attempt.execution.passed), 0)
        failing, passing = attempts[:first], [attempts[first]] if first else []
    if failing:
        yield from ((chosen, failing) for chosen in passing)


def _negatives(failing: tuple[Attempt, ...], settings: PairingConfig, key: str) -> tuple[Attempt, ...]:
    match settings.negatives:
        case "each":
            return failing
        case "first":
            return failing[:1]
        case "last":
            return failing[-1:]
        case "random":
            # Seeded by the trajectory, so that adding tasks to a run changes no other task's pair.
            return (random.Random(fingerprint(key)).choice(failing),)


def _pair_of(
    task: Task,
    trajectory: Trajectory,
    chosen: Attempt,
    rejected: Attempt,
    prompt: Prompt,
    settings: PairingConfig,
    path: Path | None,
) -> PreferencePair:
    ran = path(task, rejected) if path else None
    return PreferencePair(
        pair_id=f"{trajectory.trajectory_id}#{rejected.iteration}-{chosen.iteration}",
        task_id=task.task_id,
        prompt=prompt,
        render_template="fenced_python",
        trajectory_id=trajectory.trajectory_id,
        chosen_iteration=chosen.iteration,
        rejected_iteration=rejected.iteration,
        error_type=rejected.execution.error_type or rejected.execution.verdict,
        tests_hash=task.tests_hash,
        trust=chosen.execution.trust,
        origin=trajectory.origin,
        **_texts(fenced(rejected.program), fenced(chosen.program), settings, ran),
    )


def focal_pair(imported: ImportedPair, settings: PairingConfig) -> PreferencePair:
    """An imported pair with its focal spans; its texts stay as they came."""
    return PreferencePair(
        pair_id=imported.pair_id,
        task_id=imported.task_id,
        prompt=imported.prompt,
        render_template="as_imported",
        origin="import",
        **_texts(imported.rejected, imported.chosen, settings),
    )


def _texts(rejected: str, chosen: str, settings: PairingConfig, ran: frozenset[int] | None = None) -> dict[str, Any]:
    """Both with D⁻ and D⁺; `empty_removed` says what is D⁻ where the fix only inserts lines.

    Of D⁻ the lines in `ran` are taken, unless none of them ran.
    """
    spans = changed_spans(rejected, chosen, settings.diff)
    removed = spans.rejected
    if ran is not None:
        on_path = {line.start for number, line in enumerate(code_lines(rejected), start=1) if number in ran}
        removed = tuple(span for span in removed if span.start in on_path) or removed
    if not removed and settings.empty_removed == "full":
        removed = tuple(Span(start=line.start, stop=line.stop) for line in code_lines(rejected))
    elif not removed and settings.empty_removed == "anchor":
        removed = anchors(rejected, chosen)
    return {
        "chosen": chosen,
        "rejected": rejected,
        "chosen_spans": spans.chosen,
        "rejected_spans": removed,
        "diff": settings.diff,
        "diff_version": DIFF_VERSION,
    }


def _prompt(task: Task, settings: PairingConfig) -> Prompt:
    if settings.prompt_format == "messages":
        return as_messages(task.prompt)
    if not isinstance(task.prompt, str):
        raise ConfigError(
            f"task {task.task_id}: pairing.prompt_format is text, but this task's prompt is a list of messages; "
            "set it to messages"
        )
    return task.prompt
