"""What debugging will take before it starts: expected and most calls, tokens, US dollars, and hours at a given rate.

Expected figures come from this run's own finished trajectories and calls, else from the paper's pass rates
(arXiv:2503.02783: 36.7 % at first, 67.5 % after five repairs) and from guesses said to be such.
"""

from collections.abc import Mapping, Sequence

from iterpref.clients.estimate import BYTES_PER_TOKEN, CallGroup, estimate
from iterpref.config import DebuggingConfig
from iterpref.debugging.debugger import settings_identity
from iterpref.opened_run import OpenedRun
from iterpref.records import as_messages
from iterpref.store import FinishedTask, Store

# Share of tasks that reach iteration 0, 1, ...: what is left when 36.7 % pass at first and 67.5 % in the end.
_PAPER_REACHED = (1.0, 0.633, 0.502, 0.431, 0.379, 0.337)
_SAMPLE = 200  # tasks whose prompts are measured


def estimate_debugging(run: OpenedRun, tokens_per_s: float | None = None) -> dict[str, int | float | str]:
    """What is left to do for the run's tasks, expected and at most; makes no call. See `clients.estimate`."""
    store, settings = run.store, run.config.debugging
    client = run.config.client
    tasks, made = store.count_tasks(settings.split), _finished(run)
    begun = {name: task for name, task in made.items() if _goes_on(task, settings)}
    left = tasks - len(made) + len(begun)
    reached, source = _reached(settings, list(made.values()))
    prompt_tokens, completion_tokens = _tokens(store, settings)
    first, repair = client.price(), (run.config.repair_client or client).price()
    repair_prompt = 2 * prompt_tokens + completion_tokens  # the task, the failing program, what went wrong
    if settings.mode == "sampling":  # further draws are first attempts again
        repair, repair_prompt = first, prompt_tokens

    drafts = _drafts(store, settings, made)
    fresh, failing = left - len(begun) - len(drafts), sum(drafts.values())
    more = sum(settings.max_iterations + 1 - task.attempts for task in begun.values())

    def calls(repairs: float, of_failing: float, completion: float) -> list[CallGroup]:
        return [
            CallGroup(fresh, prompt_tokens, completion, first),
            CallGroup(fresh * repairs + failing * of_failing + more, repair_prompt, completion, repair),
        ]

    repairs = sum(reached[1:])
    of_failing = repairs / reached[1] if repairs and reached[1] else 0.0  # each of them reaches the first repair
    expected = calls(repairs, of_failing, completion_tokens)
    most = calls(settings.max_iterations, settings.max_iterations, settings.sampling.max_tokens)
    figures = estimate(expected, most, tokens_per_s)
    counted = {"tasks": tasks, "tasks_left": left} | ({"drafts_left": len(drafts)} if drafts else {})
    return {**counted, **figures, "based_on": source}


def _finished(run: OpenedRun) -> dict[str, FinishedTask]:
    """Task id → its trajectory that debugging with these settings would find and not make anew."""
    settings = run.config.debugging
    repair = run.config.repair_client if settings.mode == "debugging" else None
    clients = [run.config.client, *([repair] if repair else [])]
    drafts = run.store.drafts(settings.split) if _begins_with_drafts(settings) else {}
    found = {}
    for task in run.store.finished(settings.mode, settings.split):
        drafted = task.task_id in drafts
        names, asked = task.client.split(" + "), clients
        if drafted:  # its author stands first, where it is another
            names, asked = names[-1:], clients[-1:]
        if len(names) != len(asked) or not all(n.startswith(c.known_as) for n, c in zip(names, asked, strict=True)):
            continue
        if task.trajectory_id.endswith(settings_identity(names, settings, run.config.seed, drafted, run.prompts)):
            found[task.task_id] = task
    return found


def _goes_on(task: FinishedTask, settings: DebuggingConfig) -> bool:
    """Whether more iterations are asked for now than its trajectory has."""
    draws_all = settings.mode == "sampling" and settings.draws == "all"
    return (not task.passed or draws_all) and task.attempts <= settings.max_iterations


def _reached(settings: DebuggingConfig, made: Sequence[FinishedTask]) -> tuple[list[float], str]:
    """Share of tasks that need call 0, 1, ..., and where this comes from."""
    if settings.mode == "sampling" and settings.draws == "all":
        return [1.0] * (settings.max_iterations + 1), "the settings: all draws are made"
    if not made:
        last = _PAPER_REACHED[-1]
        reached = [_PAPER_REACHED[i] if i < len(_PAPER_REACHED) else last for i in range(settings.max_iterations + 1)]
        return reached, "the paper's pass rates"
    needed = [sum(not task.passed or task.attempts > i for task in made) for i in range(settings.max_iterations + 1)]
    return [count / len(made) for count in needed], f"{len(made)} finished tasks of this run"


def _begins_with_drafts(settings: DebuggingConfig) -> bool:
    return settings.drafts and settings.mode == "debugging"


def _drafts(store: Store, settings: DebuggingConfig, made: Mapping[str, FinishedTask]) -> dict[str, bool]:
    """Tasks left that begin with the program they were drafted with → whether it fails: no call for the first attempt,
    and none at all where that passes."""
    drafts = store.drafts(settings.split) if _begins_with_drafts(settings) else {}
    return {name: fails for name, fails in drafts.items() if name not in made}


def _tokens(store: Store, settings: DebuggingConfig) -> tuple[float, float]:
    """Mean tokens of a first prompt and of a completion: measured in this run's calls, else guessed from texts."""
    mean = store.mean_tokens()
    if mean is not None:
        return mean
    sizes = []
    for task in store.tasks(settings.split):
        sizes.append(sum(len(m.content.encode()) for m in as_messages(task.prompt)) / BYTES_PER_TOKEN)
        if len(sizes) == _SAMPLE:
            break
    return sum(sizes) / max(1, len(sizes)), settings.sampling.max_tokens / 2
