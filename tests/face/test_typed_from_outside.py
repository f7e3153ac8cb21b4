"""A user's script, checked by mypy in strict mode against the package: from outside, and not as our own code."""

import subprocess
import sys
from pathlib import Path

import pytest

import iterpref

PACKAGE = Path(iterpref.__file__).parent
SCRIPT = """
from datasets import load_dataset

from iterpref import (
    CodeReward, Execution, FocalDPOConfig, FocalDPOTrainer, Job, Limits, PreferencePair, Result, Sandbox, Task,
    TestFile, Trajectory, changed_spans, compare, debug_with, focal_dataset, focal_pairs, open_run, pipeline,
    read_pairs, score_samples, train,
)


def answer(messages: list[dict[str, str]]) -> str:
    return messages[-1]["content"]


tests = (TestFile(path="test.py", content="assert f(1) == 2"),)
task = Task(task_id="f", prompt="Write f.", tests=tests, style="assert")
trajectories: list[Trajectory] = debug_with(answer, [task], max_iterations=3, at_a_time=2)
pairs: list[PreferencePair] = focal_pairs(task, trajectories[0], negatives="each")
with open_run("runs/a", {"client": {"model": "m"}}) as run:
    pipeline.debug(run)
    pipeline.train(run.folder, run.config)
    kept: int = sum(pair.kept for pair in run.store.pairs())
args = FocalDPOConfig(output_dir="out", method="target_dpo", beta=0.1, max_steps=3)
rows = load_dataset("json", data_files="pairs.jsonl", split="train")
trainer = FocalDPOTrainer("model", args=args, train_dataset=focal_dataset(rows))
trainer.train()
dropped: dict[str, int] = trainer.dropped
FocalDPOTrainer("model", args=args, train_dataset=read_pairs("pairs"), eval_dataset=focal_dataset(pairs))
steps: int = train("pairs", "model", "out", {"max_steps": 1}).steps
with Sandbox(workers=1) as sandbox:
    job = Job(program="f = 1", tests=tests, style="assert", limits=Limits(cpu_s=1.0))
    executions: list[Execution] = list(sandbox.run_many([job]))
rewards: list[float | None] = CodeReward(deadline_s=5.0).score(["f = 1"], [{"tests": "assert f"}])
before: Result = score_samples("a.jsonl", "humaneval+")
interval: tuple[float, float] = (compare(before, before).low, compare(before, before).high)
start: int = changed_spans("a", "b").rejected[0].start
"""
MISTAKES = {
    'Job(program=3, tests=tests, style="assert")': 'Argument "program" to "Job" has incompatible type "int"',
    'Job(program="", tests=tests, style="asert")': 'Argument "style" to "Job" has incompatible type',
    'args.metod = "dpo"': '"FocalDPOConfig" has no attribute "metod"',
    'focal_pairs(task, trajectories[0], negatives="all")': 'Argument "negatives" to "focal_pairs"',
    "debug_with(print, [task])": 'Argument 1 to "debug_with" has incompatible type',
    "executions[0].verdict.nonsense": 'has no attribute "nonsense"',
}
# Left out where it has to be quick: what these libraries say of themselves. The second test looks at all of it.
HEAVY = ("torch", "transformers", "trl", "peft", "accelerate", "numpy", "pyarrow", "openai", "fastapi")


def said(folder: Path, script: str, *heavy: str) -> str:
    (folder / "script.py").write_text(script, encoding="utf-8")
    skipped = f"[mypy-{','.join(f'{name}.*' for name in heavy)}]\nfollow_imports = skip\n" if heavy else ""
    untyped = "[mypy-datasets.*]\nignore_missing_imports = True\n"
    config = folder / "mypy.ini"
    # As of an installed package, no error in it is told; and its own configuration doesn't count.
    config.write_text(
        f"[mypy]\nstrict = True\nfollow_imports = silent\nmypy_path = {PACKAGE.parent}\n{skipped}{untyped}"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir", str(folder), "script.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert not done.stderr, done.stderr
    return done.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_a_users_script_and_its_mistakes(tmp_path: Path) -> None:
    first = len(SCRIPT.splitlines()) + 1
    lines = said(tmp_path, SCRIPT + "\n".join(MISTAKES), *HEAVY).splitlines()
    errors = {int(line.split(":")[1]): line for line in lines if ": error:" in line}
    found = {mistake: errors.pop(number, "") for number, mistake in enumerate(MISTAKES, start=first)}
    # What the trainer's settings don't have is known only where TRL's are looked at.
    found.pop('args.metod = "dpo"')
    assert errors == {}, "a right line is called wrong"
    assert [mistake for mistake, error in found.items() if MISTAKES[mistake] not in error] == []


@pytest.mark.slow
def test_with_trl_and_torch_as_they_are(tmp_path: Path) -> None:
    mistake = 'args.metod = "dpo"'
    lines = said(tmp_path, SCRIPT + mistake).splitlines()
    errors = [line for line in lines if ": error:" in line]
    assert len(errors) == 1, errors
    assert MISTAKES[mistake] in errors[0]
