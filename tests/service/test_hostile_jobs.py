"""The sandbox's hostile programs over HTTP: none passes, each is answered, and the service lives on."""

import json
import sys
from pathlib import Path

import httpx2
import pytest
from services import Start

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "adversarial"))
from everywhere import ASSERTS, GROUPS, RIGHT
from jobs import job


def test_no_hostile_program_passes(start: Start) -> None:
    url = start(2, queue=512)
    rung = httpx2.get(f"{url}/health").json()["isolation"]
    if rung not in ("zygote_cgroup", "zygote"):
        pytest.skip(f"hostile programs run in namespaces or nowhere, this is {rung}")
    named = {
        f"{kind}: {name}": job(program, group.tests, group.style, limits=group.limits)
        for kind, group in GROUPS.items()
        for name, program in group.programs.items()
    }
    named["honest"] = job(RIGHT, ASSERTS)
    jobs = [one.model_dump(mode="json") for one in named.values()]
    query = {"retry_timeout": "false"}
    with httpx2.stream("POST", f"{url}/jobs", params=query, json={"jobs": jobs}, timeout=280) as answer:
        found = [json.loads(line) for line in answer.iter_lines()]
    verdicts = {list(named)[line["index"]]: line["execution"]["verdict"] for line in found}
    assert len(verdicts) == len(named) == len(found)
    assert [name for name, verdict in verdicts.items() if verdict in ("passed", "sandbox_error")] == ["honest"]
    assert max(len(json.dumps(line)) for line in found) < 100_000
