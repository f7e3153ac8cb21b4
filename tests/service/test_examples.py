"""The examples of the sandbox and its service, as a user starts them."""

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def said(*command: object) -> list[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_grade_a_file(tmp_path: Path) -> None:
    rows = [
        {"program": "def f(x): return x + 1", "tests": "assert f(1) == 2"},
        {"program": "def f(x): return x", "tests": "assert f(1) == 2"},
        {"program": "import os; os._exit(0)", "tests": "assert f(1) == 2"},
    ]
    file = tmp_path / "programs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert said(sys.executable, EXAMPLES / "grade_file.py", file)[:2] == [
        "0\tpassed\toracle\t",
        "1\tfailed\toracle\tf(1) returned 1, expected 2",
    ]


def test_the_service_with_curl(url: str) -> None:
    found = said("bash", EXAMPLES / "service.sh", url)
    assert json.loads(found[1])["error"] == "double(2) returned 6, expected 4"
    assert json.loads(found[3])["run_result"]["stdout"] == "42\n"
    assert 'iterpref_verdicts_total{verdict="failed"} 1.0' in found


def test_the_service_with_python(url: str) -> None:
    found = said(sys.executable, EXAMPLES / "service.py", url)
    assert found == ["passed ", "failed double(2) returned 6, expected 4", "[1.0, 0.0]"]
