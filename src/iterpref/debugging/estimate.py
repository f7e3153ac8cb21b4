"""What debugging will take before it starts: expected and most calls, tokens, US dollars, and hours at a given rate.

Expected figures come from this run's own finished trajectories and calls, else from the paper's pass rates
(arXiv:2503.02783: 36.7 % at first, 67.5 % after five repairs) and from guesses said to be such.
"""

from iterpref.clients.estimate import BYTES_PER_TOKEN, CallGroup, estimate
from iterpref.config import DebuggingConfig
from iterpref.opened_run import OpenedRun
from iterpref.records import as_messages
from iterpref.store import Store

# Share of tasks that reach iteration 0, 1, ...: what is left when 36.7 % pass at first and 67.5 % in the end.
_PAPER_REACHED = (1.0, 0.633, 0.502, 0.431, 0.379, 0.337)
_SAMPLE = 200  # tasks whose prompts are measured


def estimate_debugging(run: OpenedRun, tokens_per_s: float | None = None) -> dict[str, int | float | str]:
    """What is left to do for the run's tasks, expected and at most; makes no call. See `clients.estimate`."""
    store, settings = run.store, run.config.debugging
    client = run.config.client
    tasks = store.count_tasks(settings.split)
    closed = store.count_finished(settings.mode)
    left = max(0, tasks - closed)
    reached, source = _reached(store, settings, closed)
    prompt_tokens, completion_tokens = _tokens(store, settings)
    first, repair = client.price(), (run.config.repair_client or client).price()
    repair_prompt = 2 * prompt_tokens + completion_tokens  # the task, the failing program, what went wrong
    if settings.mode == "sampling":  # further draws are first attempts again
        repair, repair_prompt = first, prompt_tokens

    drafted, failing = _drafts(store, settings)
    fresh = max(0, left - drafted)

    def calls(repairs: float, of_failing: float, completion: float) -> list[CallGroup]:
        return [
            CallGroup(fresh, prompt_tokens, completion, first),
            CallGroup(fresh * repairs + failing * of_failing, repair_prompt, completion, repair),
        ]

    repairs = sum(reached[1:])
    of_failing = repairs / reached[1] if repairs and reached[1] else 0.0  # each of them reaches the first repair
    expected = calls(repairs, of_failing, completion_tokens)
    most = calls(settings.max_iterations, settings.max_iterations, settings.sampling.max_tokens)
    figures = estimate(expected, most, tokens_per_s)
    counted = {"tasks": tasks, "tasks_left": left} | ({"drafts_left": drafted} if drafted else {})
    return {**counted, **figures, "based_on": source}


def _reached(store: Store, settings: DebuggingConfig, closed: int) -> tuple[list[float], str]:
    """Share of tasks that need call 0, 1, ..., and where this comes from."""
    if settings.mode == "sampling" and settings.draws == "all":
        return [1.0] * (settings.max_iterations + 1), "the settings: all draws are made"
    if not closed:
        last = _PAPER_REACHED[-1]
        reached = [_PAPER_REACHED[i] if i < len(_PAPER_REACHED) else last for i in range(settings.max_iterations + 1)]
        return reached, "the paper's pass rates"
    made = [store.count_attempts(i) for i in range(settings.max_iterations + 1)]
    return [count / max(1, made[0]) for count in made], f"{closed} finished tasks of this run"


def _drafts(store: Store, settings: DebuggingConfig) -> tuple[int, int]:
    """Tasks left that begin with the program they were drafted with, and those among them whose program fails: no call
    for the first attempt, and none at all where that passes."""
    begins = settings.drafts and settings.mode == "debugging"
    return store.count_drafts(settings.split, settings.mode) if begins else (0, 0)


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
