"""The sandbox as a service, from Python: python examples/service.py [URL]; `iterpref serve` runs at the URL."""

import sys

from iterpref import Job, TestFile
from iterpref.rewards import CodeReward
from iterpref.sandbox.remote import ServedSandbox

tests = (TestFile(path="test.py", content="assert double(2) == 4"),)
programs = [f"def double(x): return {n} * x" for n in (2, 3)]
with ServedSandbox(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080") as sandbox:
    for execution in sandbox.run_many(Job(program=program, tests=tests, style="assert") for program in programs):
        print(execution.verdict, execution.headline)
    reward = CodeReward(sandbox=sandbox)  # trainers' rewards, run over there
    print(reward.score(programs, [{"tests": "assert double(2) == 4"}] * 2))
