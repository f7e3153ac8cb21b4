"""HumanEval as OpenAI published it, and HumanEval+ as EvalPlus extended it.

HumanEval: Chen et al., arXiv:2107.03374; a program is judged by the task's own `check(candidate)`. HumanEval+ v0.1.10:
arXiv:2305.01210; HumanEval/32 (`find_zero`) is judged by whether the result is a root, as both papers' tests mean it.
"""

from collections.abc import Callable

from iterpref.evaluation.benchmarks.evalplus import FIELDS, Plan, evalplus_tasks
from iterpref.evaluation.benchmarks.sources import Loaded, Source
from iterpref.records import Limits, Task, TestFile
from iterpref.sandbox import Sandbox

HUMANEVAL = Source(
    name="humaneval",
    version="2021-07",
    variables=("ITERPREF_HUMANEVAL_PATH",),
    fields=("task_id", "prompt", "entry_point", "canonical_solution", "test"),
    hub="openai/openai_humaneval",
    revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
)
HUMANEVAL_PLUS = Source(
    name="humaneval+",
    version="v0.1.10",
    variables=("ITERPREF_HUMANEVAL_PLUS_PATH", "HUMANEVAL_OVERRIDE_PATH"),
    fields=FIELDS,
    url="https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
)
_LIMITS = Limits(cpu_s=5.0, wall_s=30.0)
_PLAN = Plan(
    name="humaneval+",
    inputs=lambda task_id, inputs: inputs,
    match=lambda entry_point: "root" if entry_point == "find_zero" else "equal",
    accept=lambda entry_point, values: (),
    plus=True,
    license="Apache-2.0",
)


def humaneval(loaded: Loaded) -> list[Task]:
    """The 164 tasks with their own tests."""
    return [
        Task(
            task_id=row["task_id"],
            prompt=row["prompt"],
            tests=(TestFile(path="check.py", content=f"{row['test']}\n\ncheck({row['entry_point']})\n"),),
            style="check",
            entry_point=row["entry_point"],
            limits=_LIMITS,
            reference=row["prompt"] + row["canonical_solution"],
            split="test",
            origin="humaneval",
            license="MIT",
        )
        for row in loaded.rows
    ]


def humaneval_plus(loaded: Loaded, sandbox: Callable[[], Sandbox]) -> tuple[list[Task], dict[str, str]]:
    """The 164 tasks with base and plus inputs; and those that can't be judged here, with the cause."""
    return evalplus_tasks(loaded, _PLAN, sandbox)
