"""A benchmark's name → its tasks, where they came from, and a hash that tells two versions of a dataset apart.

    benchmark = load_benchmark("humaneval+", path="HumanEvalPlus.jsonl.gz", sandbox=lambda: sandbox)

One file per family: `humaneval`, `mbpp` (both with EvalPlus's extensions, `evalplus`), `bigcodebench`, `livecodebench`,
`humanevalfix`, `playground` (made on the spot) and `tasks_file` (any JSONL of this package's `Task` schema).
"""

import difflib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.bigcodebench import BIGCODEBENCH, BIGCODEBENCH_HARD, bigcodebench
from iterpref.evaluation.benchmarks.humaneval import HUMANEVAL, HUMANEVAL_PLUS, humaneval, humaneval_plus
from iterpref.evaluation.benchmarks.humanevalfix import HUMANEVALFIX, humanevalfix
from iterpref.evaluation.benchmarks.livecodebench import LIVECODEBENCH, RELEASES, livecodebench, load_release
from iterpref.evaluation.benchmarks.mbpp import MBPP_FULL, MBPP_PLUS, MBPP_SANITIZED, mbpp_plain, mbpp_plus
from iterpref.evaluation.benchmarks.playground import playground
from iterpref.evaluation.benchmarks.sources import Loaded, Source, load
from iterpref.evaluation.benchmarks.tasks_file import tasks_file
from iterpref.records import Task, as_messages, fingerprint
from iterpref.sandbox import Sandbox

__all__ = ["NAMES", "Benchmark", "Family", "Window", "dataset_hash", "load_benchmark"]

Family = Literal["own", "humaneval", "mbpp", "bigcodebench", "livecodebench", "humanevalfix"]


@dataclass(frozen=True)
class Benchmark:
    """Tasks under a name.

    Args:
        family: Which prompts and stop sequences are its own (protocols.py).
        version: Of the release, as its publishers write it; "" for tasks of one's own.
        place: Where the rows were found, in words.
        broken: Task id → why it can't be judged here; these are left out of `tasks`.
        preflight: Whether canonical solutions are to run before any model's.
    """

    name: str
    tasks: list[Task]
    family: Family = "own"
    version: str = ""
    place: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    preflight: bool = False


@dataclass(frozen=True)
class Window:
    """Contests from `since` to `until` (dates as 2024-08-01), and one difficulty; None: all."""

    since: str | None = None
    until: str | None = None
    difficulty: str | None = None


ALWAYS = Window()
NeedsSandbox = Callable[[], Sandbox]
Found = tuple[list[Task], dict[str, str]]
_PUBLISHED: dict[str, tuple[Source, Family, Callable[[Loaded, NeedsSandbox], Found]]] = {
    "humaneval": (HUMANEVAL, "humaneval", lambda rows, _: (humaneval(rows), {})),
    "humaneval+": (HUMANEVAL_PLUS, "humaneval", humaneval_plus),
    "mbpp": (MBPP_PLUS, "mbpp", lambda rows, sandbox: mbpp_plus(rows, sandbox, plus=False)),
    "mbpp+": (MBPP_PLUS, "mbpp", lambda rows, sandbox: mbpp_plus(rows, sandbox, plus=True)),
    "mbpp-sanitized": (MBPP_SANITIZED, "mbpp", lambda rows, _: (mbpp_plain(rows, "mbpp-sanitized"), {})),
    "mbpp-full": (MBPP_FULL, "mbpp", lambda rows, _: (mbpp_plain(rows, "mbpp-full"), {})),
}


def _bigcodebench(prompt: str) -> Callable[[Loaded, NeedsSandbox], Found]:
    return lambda rows, _: (bigcodebench(rows, prompt), {})


for _prompt in ("complete", "instruct"):
    _PUBLISHED[f"bigcodebench-{_prompt}"] = (BIGCODEBENCH, "bigcodebench", _bigcodebench(_prompt))
    _PUBLISHED[f"bigcodebench-hard-{_prompt}"] = (BIGCODEBENCH_HARD, "bigcodebench", _bigcodebench(_prompt))
_PUBLISHED["humanevalfix"] = (HUMANEVALFIX, "humanevalfix", lambda rows, _: (humanevalfix(rows), {}))
_RELEASES = {f"livecodebench-v{number}": number for number in range(1, RELEASES + 1)}
NAMES = ("playground", *_PUBLISHED, *_RELEASES)


def load_benchmark(
    name: str,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    path: str | None = None,
    sandbox: NeedsSandbox | None = None,
    window: Window = ALWAYS,
) -> Benchmark:
    """A benchmark with its tasks in their own order.

    Args:
        name: One of `NAMES`, or the path of a JSONL file of tasks.
        split: Only tasks of this split; None for all, in the playground for `held_out`. Published benchmarks have one.
        limit: Only the first so many.
        seed: Which of the playground's tasks; a file has no use for it.
        path: Local file of a published benchmark; else an environment variable may name one, else it is downloaded.
        sandbox: Opens a sandbox, where expected outputs have yet to be computed.
        window: Which problems of LiveCodeBench.

    Raises:
        ConfigError: No such benchmark or file, it can't be downloaded, or the playground lacks the split.
        RecordError: A line of the file is not a task, two tasks share an id, or no task is left.
    """
    if name == "playground":
        return Benchmark(name, playground(split, limit, seed))
    if name in _RELEASES:
        loaded = load_release(_RELEASES[name], path or os.environ.get(LIVECODEBENCH.variables[0]))
        tasks = livecodebench(loaded, window.since, window.until, window.difficulty)[:limit]
        return Benchmark(name, tasks, "livecodebench", f"release_v{_RELEASES[name]}", loaded.place)
    if name in _PUBLISHED:
        return _published(name, limit, path, sandbox)
    if not Path(name).suffix and not Path(name).exists():
        near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(near)}? Known" if near else "known"
        raise ConfigError(
            f"benchmark {name}: unknown; {advice}: {', '.join(NAMES)}, or the path of a JSONL file of tasks"
        )
    return Benchmark(name, tasks_file(Path(name), split, limit), place=f"file {Path(name).name}", preflight=True)


def _published(name: str, limit: int | None, path: str | None, sandbox: NeedsSandbox | None) -> Benchmark:
    source, family, make = _PUBLISHED[name]
    loaded = load(source, path)
    seen: set[str] = set()
    for number, row in enumerate(loaded.rows, start=1):
        identity = str(row.get("task_id", row.get("question_id")))
        if identity in seen:
            raise RecordError(f"benchmark {name}: row {number} repeats the task {identity}; expected each task once")
        seen.add(identity)
    kept = Loaded(loaded.rows[:limit], loaded.place)
    tasks, broken = make(kept, sandbox or _no_sandbox)
    return Benchmark(name, tasks, family, source.version, loaded.place, broken, preflight=True)


def _no_sandbox() -> Sandbox:
    raise ConfigError("this benchmark's expected outputs are not cached; give load_benchmark a sandbox to compute them")


def dataset_hash(tasks: Iterable[Task]) -> str:
    """Identity of a set of tasks, whatever their order: ids, prompts, tests. References and limits don't count: limits
    are part of how programs were run, and partly measured on the machine at hand."""
    return fingerprint(sorted(_identity(task) for task in tasks))


def _identity(task: Task) -> list[str]:
    prompt = [message.model_dump() for message in as_messages(task.prompt)]
    return [task.task_id, task.tests_hash, fingerprint([prompt, task.program_path, list(task.packages)])]
