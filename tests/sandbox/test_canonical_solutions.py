"""All canonical solutions of HumanEval and MBPP, where the development data is at hand."""

import json
from collections import Counter
from pathlib import Path

import pytest

from iterpref.records import TestFile
from iterpref.sandbox import Job, Sandbox


def humaneval(folder: Path) -> list[Job]:
    rows = map(json.loads, (folder / "benchmarks/humaneval.jsonl").read_text().splitlines())
    return [
        Job(
            program=row["prompt"] + row["canonical_solution"],
            tests=(TestFile(path="test_it.py", content=row["test"]),),
            style="check",
            entry_point=row["entry_point"],
            reference=row["prompt"] + row["canonical_solution"],
        )
        for row in rows
    ]


def mbpp(folder: Path) -> list[Job]:
    rows = map(json.loads, (folder / "benchmarks/mbpp_sanitized.jsonl").read_text().splitlines())
    return [
        Job(
            program=row["code"],
            tests=(TestFile(path="test_it.py", content="\n".join(row["test_imports"] + row["test_list"])),),
            style="assert",
            reference=row["code"],
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("load", "count", "lifted"), [(humaneval, 164, 159), (mbpp, 427, 426)], ids=["HumanEval", "MBPP sanitized"]
)
def test_canonical_solutions_pass(shared_data: Path, cage: Sandbox, load, count: int, lifted: int) -> None:  # type: ignore[no-untyped-def]
    jobs = load(shared_data)
    assert len(jobs) == count
    executions = list(cage.run_many(jobs))
    assert [e.error for e in executions if not e.passed] == []
    trust = Counter(execution.trust for execution in executions)
    print(f"lifted: {trust['oracle']} of {count}")
    assert trust["oracle"] == lifted
