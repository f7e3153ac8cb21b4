"""What synthesis will take before it starts: calls, tokens, US dollars, and hours at a given rate.

The questions are made as synthesis makes them, and their texts measured; of drafts a sample. How long replies will be
is told by this run's own calls where it has any and nothing was debugged yet, else guessed: half of what they may be.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from iterpref.clients.estimate import BYTES_PER_TOKEN, CallGroup, estimate
from iterpref.config import SynthesisConfig
from iterpref.opened_run import OpenedRun
from iterpref.prompts.own import Prompts
from iterpref.synthesis import seeds
from iterpref.synthesis.draft import Idea
from iterpref.synthesis.features import load_tree

_SAMPLE = 100  # drafts whose prompts are measured


def estimate_synthesis(
    run: OpenedRun, own: Iterable[tuple[str, str]] = (), tokens_per_s: float | None = None
) -> dict[str, int | float | str]:
    """All calls of a synthesis with these settings, also those answered before, of which none is paid again.

    Args:
        own: The user's instructions, as (text, licence).
        tokens_per_s: See `clients.estimate`.

    Raises:
        RecordError: Seeds that can't be read.
    """
    settings, price = run.config.synthesis, run.config.client.price()
    mean = None if run.store.count("trajectories") else run.store.mean_tokens()
    most = settings.sampling.max_tokens
    reply, source = (mean[1], "this run's calls") if mean else (most / 2, "half of synthesis.sampling.max_tokens")
    seeds.check_prompts(settings, run.prompts)
    groups = _questions(settings, run.config.seed, own, run.prompts)
    expected = [CallGroup(count, prompt, reply, price) for count, prompt in groups]
    longest = [CallGroup(count, prompt, most, price) for count, prompt in groups]
    drafts = {"drafts": groups[-1][0], "calls_answered_before": run.store.count("calls")}
    return {**drafts, **estimate(expected, longest, tokens_per_s), "reply_tokens_from": source}


def _questions(
    settings: SynthesisConfig, seed: int, own: Iterable[tuple[str, str]], prompts: Prompts
) -> list[tuple[int, float]]:
    """How many calls, and the mean tokens of their prompts: to grow the tree, and last for drafts."""
    if settings.instructions:
        ideas = list(seeds.own(settings, own))
        return [(len(ideas), _tokens(_texts(ideas, prompts)))]
    if settings.inspire:
        return [_drafts(settings, seeds.inspired(settings, seed), prompts)]
    tree, grown = load_tree(settings.tree), []
    if settings.snippets:
        extracted = seeds.extractions(settings, tree, prompts)
        grown.append((len(extracted), _tokens(extracted)))
    if settings.evolve_rounds:
        evolved = seeds.evolutions(settings, seed, tree, 0, prompts)
        grown.append((settings.evolve_rounds * len(evolved), _tokens(evolved)))
    return [*grown, _drafts(settings, seeds.sampled(settings, seed, tree), prompts)]


def _drafts(settings: SynthesisConfig, ideas: Iterable[Idea], prompts: Prompts) -> tuple[int, float]:
    return settings.tasks, _tokens(_texts(ideas, prompts))


def _texts(ideas: Iterable[Idea], prompts: Prompts) -> list[str]:
    return [idea.messages(prompts)[0].content for idea in islice(ideas, _SAMPLE)]


def _tokens(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / BYTES_PER_TOKEN / max(len(texts), 1)
