"""What debugging will cost before it starts: expected and most calls, and US dollars where clients have prices.

Expected figures come from this run's own finished trajectories and calls, else from the paper's pass rates
(arXiv:2503.02783: 36.7 % at first, 67.5 % after five repairs) and from guesses said to be such.
"""

from iterpref.config import DebuggingConfig
from iterpref.opened_run import OpenedRun
from iterpref.records import as_messages
from iterpref.store import Store

# Share of tasks that reach iteration 0, 1, ...: what is left when 36.7 % pass at first and 67.5 % in the end.
_PAPER_REACHED = (1.0, 0.633, 0.502, 0.431, 0.379, 0.337)
_BYTES_PER_TOKEN = 3
_SAMPLE = 200  # tasks whose prompts are measured


def estimate_debugging(run: OpenedRun) -> dict[str, int | float | str]:
    """Calls and US dollars that are left to spend on the run's tasks, expected and at most; makes no call."""
    store, settings = run.store, run.config.debugging
    client = run.config.client
    tasks = store.count_tasks(settings.split)
    closed = store.count_finished(settings.mode)
    left = max(0, tasks - closed)
    reached, source = _reached(store, settings, closed)
    prompt_tokens, completion_tokens = _tokens(store, settings)
    repair_prompt = 2 * prompt_tokens + completion_tokens  # the task, the failing program, what went wrong
    first, repair = client.price(), (run.config.repair_client or client).price()

    def usd(repairs: float, completion: float) -> float | str:
        if any(price and not price.known for price in (first, repair)):
            return "unknown: no prices are set"
        paid = 0.0
        if first:
            paid += prompt_tokens * first.prompt + completion * first.completion
        if repair:
            paid += repairs * (repair_prompt * repair.prompt + completion * repair.completion)
        return round(left * paid, 4)

    return {
        "tasks": tasks,
        "tasks_left": left,
        "expected_calls": round(left * sum(reached)),
        "most_calls": left * (settings.max_iterations + 1),
        "expected_usd": usd(sum(reached) - 1, completion_tokens),
        "most_usd": usd(settings.max_iterations, settings.sampling.max_tokens),
        "based_on": source,
    }


def _reached(store: Store, settings: DebuggingConfig, closed: int) -> tuple[list[float], str]:
    """Share of tasks that need call 0, 1, ..., and where this comes from."""
    if not closed:
        last = _PAPER_REACHED[-1]
        reached = [_PAPER_REACHED[i] if i < len(_PAPER_REACHED) else last for i in range(settings.max_iterations + 1)]
        return reached, "the paper's pass rates"
    made = [store.count_attempts(i) for i in range(settings.max_iterations + 1)]
    return [count / max(1, made[0]) for count in made], f"{closed} finished tasks of this run"


def _tokens(store: Store, settings: DebuggingConfig) -> tuple[float, float]:
    """Mean tokens of a first prompt and of a completion: measured in this run's calls, else guessed from texts."""
    mean = store.mean_tokens()
    if mean is not None:
        return mean
    sizes = []
    for task in store.tasks(settings.split):
        sizes.append(sum(len(m.content.encode()) for m in as_messages(task.prompt)) / _BYTES_PER_TOKEN)
        if len(sizes) == _SAMPLE:
            break
    return sum(sizes) / max(1, len(sizes)), settings.sampling.max_tokens / 2
