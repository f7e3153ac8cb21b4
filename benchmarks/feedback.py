"""Does the feedback help, or only the second chance? True feedback against shuffled, removed, and plain sampling.

    python benchmarks/feedback.py --tasks 400 --json feedback.json

The same playground tasks are debugged by the tiny coder under each condition; the first attempts are equal (same seed).
`shuffled` shows what another task's failing program was told at the same iteration; `removed` says only that the tests
fail. Prints the pass rate by iteration, and after one repair the exact McNemar p of true against each control.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from iterpref.analysis.compare import mcnemar_p
from iterpref.clients import Ledger
from iterpref.clients.local.client import LocalClient
from iterpref.config import DebuggingConfig, SamplingConfig
from iterpref.debugging.debug import debug
from iterpref.debugging.debugger import Debugger
from iterpref.executor import Executor
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Execution, Task, fingerprint
from iterpref.sandbox import Sandbox
from iterpref.store import Store

Feedback = Callable[[Task, int, Execution], str]
ITERATIONS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--split", default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tasks = playground_tasks(options.split, options.tasks, options.seed)
    client = LocalClient(coder_path())
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        solved_at: dict[str, list[int | None]] = {}
        for name in ("true", "shuffled", "removed", "sampling"):
            with Store.open(Path(folder) / name) as store:
                store.put_tasks(tasks)
                settings = DebuggingConfig(
                    mode="sampling" if name == "sampling" else "debugging",
                    max_iterations=ITERATIONS,
                    sampling=SamplingConfig(temperature=options.temperature, max_tokens=192),
                )
                feedback = None if name in ("true", "sampling") else control(name, Path(folder) / "true")
                executor = Executor(sandbox, store, options.seed)
                debugger = Debugger(Ledger(client, store), executor, store, settings, options.seed, feedback=feedback)
                asyncio.run(debug(debugger, tasks, len(tasks)))
                solved_at[name] = first_passes(store, tasks)
    result = summarize(solved_at)
    show(result, options)
    if options.json:
        options.json.write_text(
            json.dumps(result | {"options": {k: str(v) for k, v in vars(options).items()}}, indent=1)
        )


def control(name: str, true_run: Path) -> Feedback:
    """Feedback of a control condition; `shuffled` draws from what the true run's failing programs were told."""
    if name == "removed":
        return lambda _task, _iteration, _execution: ""
    told: dict[int, list[tuple[str, str]]] = {}
    with Store.open(true_run, write=False) as store:
        for trajectory in store.trajectories():
            for attempt in trajectory.attempts:
                if attempt.feedback:
                    told.setdefault(attempt.iteration, []).append((trajectory.task_id, attempt.feedback))

    def shuffled(task: Task, iteration: int, _execution: Execution) -> str:
        others = [text for task_id, text in told[iteration] if task_id != task.task_id]
        return random.Random(fingerprint([task.task_id, iteration])).choice(others)

    return shuffled


def first_passes(store: Store, tasks: list[Task]) -> list[int | None]:
    """For each task the iteration at which it passed; None if never."""
    passed = {
        trajectory.task_id: trajectory.attempts[-1].iteration
        for trajectory in store.trajectories()
        if trajectory.status == "passed"
    }
    return [passed.get(task.task_id) for task in tasks]


def summarize(solved_at: dict[str, list[int | None]]) -> dict[str, object]:
    def within(name: str, iteration: int) -> list[bool]:
        return [at is not None and at <= iteration for at in solved_at[name]]

    def test(first: str, second: str, iteration: int) -> dict[str, float]:
        pairs = list(zip(within(first, iteration), within(second, iteration), strict=True))
        won, lost = pairs.count((True, False)), pairs.count((False, True))
        return {"won": won, "lost": lost, "mcnemar_p": mcnemar_p(won, lost)}

    rates = {n: [sum(within(n, i)) / len(at) for i in range(ITERATIONS + 1)] for n, at in solved_at.items()}
    return {
        "pass_rate_by_iteration": rates,
        "after_one_repair": {f"true_vs_{name}": test("true", name, 1) for name in ("shuffled", "removed", "sampling")},
        "after_all": {
            f"true_vs_{name}": test("true", name, ITERATIONS) for name in ("shuffled", "removed", "sampling")
        },
    }


def show(result: dict[str, object], options: argparse.Namespace) -> None:
    print(f"{options.tasks} tasks, seed {options.seed}, T={options.temperature}")
    for name, rates in result["pass_rate_by_iteration"].items():
        print(f"{name:>9}  " + "  ".join(f"{rate:.3f}" for rate in rates))
    for moment in ("after_one_repair", "after_all"):
        for name, test in result[moment].items():
            print(f"{moment}: {name}: won {test['won']}, lost {test['lost']}, p = {test['mcnemar_p']:.2g}")


if __name__ == "__main__":
    main()
