"""One number has one rounding, whoever prints it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def iterpref(*words: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "iterpref", *map(str, words), "--json"]
    environment = {**os.environ, "OPENAI_API_KEY": "k"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def test_defect_10_evaluate_and_compare_print_the_same_number(tmp_path: Path) -> None:
    task = {"task_id": "t", "prompt": "p", "style": "assert", "entry_point": "f"}
    task["tests"] = [{"path": "t.py", "content": "assert f(1) == 1"}]  # type: ignore[assignment]
    benchmark, samples = tmp_path / "own.jsonl", tmp_path / "samples.jsonl"
    benchmark.write_text(json.dumps(task) + "\n")
    programs = [f"def f(x):\n    return {'x' if i < 3 else -i}\n" for i in range(10)]
    samples.write_text("".join(json.dumps({"task_id": "t", "solution": program}) + "\n" for program in programs))
    run = tmp_path / "run"
    told = iterpref("evaluate", "--run", run, "--set", f"evaluation.benchmark={benchmark}", "--samples", samples)
    result = run / "results" / f"{told['result_id']}.json"
    again = tmp_path / "again.json"
    again.write_text(result.read_text().replace(told["result_id"], "again"))
    (comparison,) = iterpref("compare", result, again)["comparisons"]
    shares = {name: share for name, share in comparison.items() if "_pass_at_" in name}
    assert {told["pass@1"], *shares.values()} == {0.3}, shares
