"""HumanEval as OpenAI published it, and HumanEval+ as EvalPlus extended it.

HumanEval: Chen et al., arXiv:2107.03374; a program is judged by the task's own `check(candidate)`. HumanEval+ v0.1.10:
arXiv:2305.01210; HumanEval/32 (`find_zero`) is judged by whether the result is a root, as both papers' tests mean it.
"""

from functools import partial

from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, each
from iterpref.evaluation.benchmarks.evalplus import FIELDS, VALUES, EvalPlusDataset, evalplus_tasks
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.records import Limits, Task, TestFile

_HUMANEVAL = Release(
    name="humaneval",
    version="2021-07",
    variables=("ITERPREF_HUMANEVAL_PATH",),
    fields=("task_id", "prompt", "entry_point", "canonical_solution", "test"),
    hub="openai/openai_humaneval",
    revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
)
_HUMANEVAL_PLUS = Release(
    name="humaneval+",
    version="v0.1.10",
    variables=("ITERPREF_HUMANEVAL_PLUS_PATH", "HUMANEVAL_OVERRIDE_PATH"),
    fields=FIELDS,
    other=VALUES,
    url="https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
)
_LIMITS = Limits(cpu_s=5.0, wall_s=30.0)
_DATASET = EvalPlusDataset(
    name="humaneval+",
    inputs=lambda task_id, inputs: inputs,
    match=lambda entry_point: "root" if entry_point == "find_zero" else "equal",
    accept=lambda entry_point, values: (),
    plus=True,
    license="Apache-2.0",
)


def _task(row: PublishedRow) -> Task:
    return Task(
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


_define = partial(
    BenchmarkDefinition,
    protocol="chat",
    base_stops=("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
    id_prefix="humaneval",
)
BENCHMARKS = (
    _define("humaneval", each(_task), _HUMANEVAL),
    _define("humaneval+", partial(evalplus_tasks, dataset=_DATASET), _HUMANEVAL_PLUS),
)
