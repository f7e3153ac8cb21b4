"""Focal pairs from programs of your own: python examples/own_failures.py VERSIONS.jsonl PAIRS.jsonl

A line of VERSIONS has a `prompt`, its `tests` (asserts), and `programs`: the versions that you have, oldest first, the
last perhaps right. They run in the sandbox until one passes; each failing one before it is paired with that one.
"""

import json
import sys
from pathlib import Path

from iterpref import Task, TestFile, debug_with, focal_pairs

lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
rows = [json.loads(line) for line in lines if line.strip()]
tasks = [
    Task(
        task_id=str(number), prompt=row["prompt"], style="assert", tests=(TestFile(path="t.py", content=row["tests"]),)
    )
    for number, row in enumerate(rows)
]
versions = {row["prompt"]: iter(row["programs"]) for row in rows}
assert len(versions) == len(rows), "each prompt may come once, with all its versions"


def answer(messages: list[dict[str, str]]) -> str:
    """The next version, where a model would answer; nothing when there is none left."""
    program = next(versions[messages[0]["content"]], None)
    return f"```python\n{program}\n```" if program else ""


most = max(len(row["programs"]) for row in rows)
trajectories = debug_with(answer, tasks, max_iterations=most - 1)
with Path(sys.argv[2]).open("w", encoding="utf-8") as file:
    for task, trajectory in zip(tasks, trajectories, strict=True):
        for pair in focal_pairs(task, trajectory, negatives="each"):
            reasons = [verdict.reason for verdict in pair.filters if not verdict.kept]
            print(pair.pair_id, pair.error_type, "kept" if pair.kept else f"dropped: {'; '.join(reasons)}", sep="\t")
            if pair.kept:  # rows that examples/train_focal.py trains on
                file.write(pair.model_dump_json(include={"prompt", "chosen", "rejected"}) + "\n")
