"""HumanEvalFix: HumanEval's solutions, each with one planted bug, to be repaired from the code and its tests.

Muennighoff et al., OctoPack, arXiv:2308.07124 (the `python` part of HumanEvalPack, in its form with tests).
"""

from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, each
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.records import Limits, Task, TestFile

_RELEASE = Release(
    name="humanevalfix",
    version="2023-08",
    variables=("ITERPREF_HUMANEVALFIX_PATH",),
    fields=("task_id", "declaration", "canonical_solution", "buggy_solution", "entry_point", "test"),
    hub="bigcode/humanevalpack",
    revision="9a41762f73a8cb23bb5811b73d5aab164efcf378",
    config="python",
)
_LIMITS = Limits(cpu_s=10.0, wall_s=40.0)  # the paper's harness allows ten seconds on the clock


def _task(row: PublishedRow) -> Task:
    imports = row.get("import") or ""
    declaration = f"{imports}\n{row['declaration']}".lstrip("\n")
    tests = row["test"].strip("\n")
    call = f"check({row['entry_point']})"
    return Task(
        task_id=row["task_id"],
        prompt=f"{declaration}{row['buggy_solution']}\n{tests}\n\nFix bugs in {row['entry_point']}.",
        tests=(TestFile(path="check.py", content=f"{tests}\n" if call in tests else f"{tests}\n\n{call}\n"),),
        style="check",
        entry_point=row["entry_point"],
        limits=_LIMITS,
        reference=declaration + row["canonical_solution"],
        split="test",
        origin="humanevalfix",
        license="MIT",
    )


BENCHMARKS = (BenchmarkDefinition("humanevalfix", each(_task), _RELEASE, id_prefix="python/"),)
