"""Grade untrusted programs: python examples/grade_file.py FILE, with a `program` and its `tests` (asserts) a line."""

import json
import sys

from iterpref import Job, Limits, Sandbox, TestFile

with open(sys.argv[1], encoding="utf-8") as lines:
    rows = [json.loads(line) for line in lines if line.strip()]
limits = Limits(cpu_s=2.0, memory_bytes=256 << 20)
tests = [(TestFile(path="test.py", content=row["tests"]),) for row in rows]
jobs = [Job(program=row["program"], tests=t, style="assert", limits=limits) for row, t in zip(rows, tests, strict=True)]
with Sandbox() as sandbox:
    for number, execution in enumerate(sandbox.run_many(jobs)):
        print(number, execution.verdict, execution.trust, execution.headline, sep="\t")
