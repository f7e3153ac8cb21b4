"""A file of samples → Result, without a run of one's own: what `iterpref evaluate --samples` does in a run folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from iterpref.evaluation.evaluate_run import evaluate_samples
from iterpref.opened_run import OnProgress, quiet
from iterpref.opening import open_run
from iterpref.records import Result, Task


def score_samples(
    samples: str | Path,
    benchmark: str | Path | Iterable[Task],
    *,
    k: Sequence[int] = (1,),
    sanitized: bool = False,
    on_progress: OnProgress = quiet,
) -> Result:
    """Run the programs of a file of samples against the tests of a benchmark.

    Args:
        samples: EvalPlus's or BigCodeBench's JSONL (`task_id` with `solution` or `completion`), or LiveCodeBench's
            JSON; n samples of each task.
        benchmark: A published one by its name (`humaneval+`), a file of tasks, or tasks.
        k: pass@k for these k, each at most n; unbiased (arXiv:2107.03374).
        sanitized: Cut each program down to what its entry point needs first.
        on_progress: Told how far it is: what, done, total, and a few words.

    Returns:
        The Result: `metrics` with `pass@k`, shares from 0 to 1, and one Sample with its Execution per program. Nothing
        else is kept; `compare` takes two of them.

    Raises:
        ConfigError: No such benchmark or file, or a k that is larger than n.
        RecordError: A line is no sample, or of a task that the benchmark hasn't; a task has no sample.
        SandboxError: Programs can't be isolated here.
    """
    settings: dict[str, Any] = {"k": list(k)}
    tasks: list[Task] | None = None
    if isinstance(benchmark, str | Path):
        settings["benchmark"] = str(benchmark)
    else:
        tasks = list(benchmark)
    with (
        TemporaryDirectory(prefix="iterpref-") as folder,
        open_run(Path(folder, "run"), {"evaluation": settings}, on_progress=on_progress) as run,
    ):
        return evaluate_samples(run, Path(samples), sanitized, tasks)
