"""The demo's model before and after training: in process, from samples files, and compared, always the same numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def iterpref(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "iterpref", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_before_and_after_training(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    told = iterpref("demo", "--run", demo, "--quick")
    # Each model again, in a run of its own, so that nothing is taken from the demo's records.
    fresh = tmp_path / "fresh"
    settings = ("-c", demo / "config.yaml")
    folders = (demo / "model", demo / "models" / "target_rpo")
    models = ("--model", "playground", *(word for folder in folders for word in ("--model", folder)))
    before, after, papers = iterpref("evaluate", "--run", fresh, *settings, *models)["results"]
    assert (before["pass@1"], after["pass@1"]) == (told["base_pass_at_1"], told["trained_pass_at_1"])
    (beside,) = told["beside"]
    assert (told["method"], beside["method"]) == ("sft", "target_rpo")
    assert papers["pass@1"] == beside["trained_pass_at_1"]
    for folder, method in zip(folders, ("sft", "target_rpo"), strict=True):
        settled = json.loads((folder / "training_settings.json").read_text())["settings"]
        assert settled["training"]["method"] == method
    files = [fresh / "results" / f"{row['result_id']}.samples.jsonl" for row in (before, after)]
    given = [argument for file in files for argument in ("--samples", file)]
    scored = iterpref("evaluate", "--run", tmp_path / "scored", *settings, *given)["results"]
    for ours, theirs in zip((before, after), scored, strict=True):
        assert {name: ours[name] for name in ("tasks", "pass@1", "pass@1_stderr")}.items() <= theirs.items()
    for run, rows in ((fresh, (before, after)), (tmp_path / "scored", scored)):
        results = [run / "results" / f"{row['result_id']}.json" for row in rows]
        (comparison,) = iterpref("compare", *results)["comparisons"]
        assert comparison["mcnemar_p"] == told["mcnemar_p"]
        assert (len(comparison["won"]), len(comparison["lost"])) == (told["won"], told["lost"])
