"""BigCodeBench: 1,140 tasks with many libraries, and its 148 hard ones; prompts as docstrings or as instructions.

Zhuo et al., arXiv:2406.15877. Judged by the task's own unittest file, in the sandbox, with a scratch folder and without
a network; as in the official `calibrated` mode the code before the function (imports, signature) comes first.
Tasks whose libraries are not installed, or that want the network, fail the preflight and are listed with that cause.
"""

import ast
import sys
from collections.abc import Sequence
from functools import partial

from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, each
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.records import Limits, Task, TestFile

_FIELDS = ("task_id", "complete_prompt", "instruct_prompt", "canonical_solution", "code_prompt", "test", "entry_point",
           "libs")  # fmt: skip
_release = partial(Release, version="v0.1.4", split="v0.1.4", fields=_FIELDS)
_FULL = _release(
    name="bigcodebench",
    variables=("ITERPREF_BIGCODEBENCH_PATH", "BIGCODEBENCH_OVERRIDE_PATH"),
    hub="bigcode/bigcodebench",
    revision="b74c0d0bf70d2c0bc459be537895cca163007f1a",
)
_HARD = _release(
    name="bigcodebench-hard",
    variables=("ITERPREF_BIGCODEBENCH_HARD_PATH",),
    hub="bigcode/bigcodebench-hard",
    revision="298d2cc7b96612e15e47313c3603ee124cee0c1f",
)
# The official harness allows 240 s on the clock.
_LIMITS = Limits(cpu_s=240.0, wall_s=480.0, memory_bytes=4 << 30, open_files=1024, output_bytes=1 << 20)
_NAMES = "import os, sys\nfrom os import environ\n"  # the official harness gives programs these names


def _task(row: PublishedRow, prompt: str) -> Task:
    return Task(
        task_id=row["task_id"],
        prompt=row[f"{prompt}_prompt"],
        tests=(TestFile(path="test_task.py", content=f"from solution import *\n{row['test']}\n"),),
        style="unittest",
        entry_point=row["entry_point"],
        prefix=f"{_NAMES}{row['code_prompt']}    pass\n",
        limits=_LIMITS,
        reference=row["code_prompt"] + row["canonical_solution"],
        packages=tuple(sorted(name for name in _libraries(row["libs"]) if name not in sys.stdlib_module_names)),
        split="test",
        origin=f"bigcodebench-{prompt}",
        license="Apache-2.0",
    )


def _libraries(written: str | Sequence[str]) -> list[str]:
    """A list, or its repr as the files have it."""
    return list(ast.literal_eval(written)) if isinstance(written, str) else list(written)


_define = partial(
    BenchmarkDefinition,
    protocol="chat",
    base_stops=("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
    id_prefix="bigcodebench",
)
BENCHMARKS = (
    _define("bigcodebench-complete", each(partial(_task, prompt="complete")), _FULL),
    _define("bigcodebench-hard-complete", each(partial(_task, prompt="complete")), _HARD),
    _define("bigcodebench-instruct", each(partial(_task, prompt="instruct")), _FULL),
    _define("bigcodebench-hard-instruct", each(partial(_task, prompt="instruct")), _HARD),
)
