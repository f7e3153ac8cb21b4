"""The sandbox's hostile programs over HTTP: none passes, each is answered, and the service lives on."""

import json
import sys
from pathlib import Path

import httpx2
from services import Start

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "adversarial"))
from jobs import job
from machine import EXHAUSTING, PRELUDE, REACHING
from verdict import ANY_STYLE, IN_PROCESS

from iterpref.records import Limits

LIMITS = Limits(cpu_s=0.5, wall_s=1.2, memory_bytes=256 << 20, file_bytes=8 << 20, processes=16)
PATIENT = LIMITS.model_copy(update={"cpu_s": 3.0, "wall_s": 20.0})  # a control that hits a limit says nothing
ASSERTS = "assert f(1) == 2\nassert f(2) == 3"
UNITTEST = (
    "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n"
    "    def test_a(self): self.assertEqual(f(1), 2)\n    def test_b(self): self.assertEqual(f(2), 3)\n"
)


def test_no_hostile_program_passes(start: Start) -> None:
    url = start(2, queue=512)
    if httpx2.get(f"{url}/health").json()["isolation"] not in ("zygote_cgroup", "zygote"):
        return  # hostile programs run in namespaces or nowhere
    named = {name: job(PRELUDE + text, ASSERTS, limits=LIMITS) for name, text in {**EXHAUSTING, **REACHING}.items()}
    named |= {name: job(text, ASSERTS, limits=LIMITS) for name, text in ANY_STYLE.items()}
    named |= {
        f"{name} (unittest)": job(text, UNITTEST, "unittest", limits=PATIENT) for name, text in IN_PROCESS.items()
    }
    named["honest"] = job("def f(x): return x + 1", ASSERTS)
    jobs = [one.model_dump(mode="json") for one in named.values()]
    query = {"retry_timeout": "false"}
    with httpx2.stream("POST", f"{url}/jobs", params=query, json={"jobs": jobs}, timeout=280) as answer:
        found = [json.loads(line) for line in answer.iter_lines()]
    verdicts = {list(named)[line["index"]]: line["execution"]["verdict"] for line in found}
    assert len(verdicts) == len(named) == len(found)
    assert [name for name, verdict in verdicts.items() if verdict in ("passed", "sandbox_error")] == ["honest"]
    assert max(len(json.dumps(line)) for line in found) < 100_000
