"""What each verb does where torch, TRL and fastapi are not installed: python every_verb.py FOLDER

A program by itself, so that the release check runs it in an environment without the extras. Prints a line a command,
and ends with status 1 if one of them ends in another way than it should.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from iterpref import Task, TestFile, debug_with, open_run
from iterpref.cli import app, main

TRAIN, SERVE, FINE = "pip install 'iterpref[train]'", "pip install 'iterpref[serve]'", ""
TESTS = (TestFile(path="t.py", content="assert f(1) == 2\nassert f(3) == 6"),)
SIZE = ["--set", "evaluation.tasks=2", "--set", "playground.train_tasks=2", "--set", "playground.held_out_tasks=2"]


def task(name: str) -> Task:
    return Task(task_id=name, prompt=f"{name}: write f.", tests=TESTS, style="assert", entry_point="f")


def answer(messages: list[dict[str, str]]) -> str:
    right = "2 * x" if len(messages) > 1 and messages[0]["content"].startswith("solved") else "x + 1"
    return f"```python\ndef f(x):\n    return {right}\n```"


def commands(folder: Path) -> list[tuple[list[str], str]]:
    """Command lines in an order in which each finds work, and what each must say in its last line."""
    run, more = str(folder / "run"), folder / "more.jsonl"
    more.write_text(f"{task('new').model_dump_json()}\n")
    benchmark, samples, of = ["--set", f"evaluation.benchmark={more}"], list[str](), ["--run", run]
    for factor in (1, 2):
        (folder / f"{factor}.jsonl").write_text(
            json.dumps({"task_id": "new", "solution": f"f = lambda x: {factor} * x"})
        )
        samples += ["--samples", str(folder / f"{factor}.jsonl")]
    return [
        (["import", str(more), *of], FINE),
        (["import", "owner/name", *of], TRAIN),
        (["check", *of], FINE),
        (["config", *of], FINE),
        (["debug", *of], TRAIN),
        (["debug", *of, "--estimate"], FINE),
        (["validate", *of], FINE),
        (["revise", *of], TRAIN),
        (["pair", *of], FINE),
        (["pair", *of, "--set", "pairing.tokenizer=playground"], TRAIN),
        (["review", *of, "--sample", "1"], FINE),
        (["judge", *of], TRAIN),
        (["judge", "--tests", *of], TRAIN),
        (["diagnose", *of], TRAIN),
        (["synthesize", *of, "--set", "synthesis.tasks=1"], TRAIN),
        (["train", *of], TRAIN),
        (["run", *of, *SIZE], TRAIN),
        (["demo", "--quick", "--run", str(folder / "demo"), *SIZE], TRAIN),
        (["evaluate", *of, *benchmark], TRAIN),
        (["evaluate", *of, *benchmark, *samples], FINE),
        (["suite", *of, "--benchmark", "playground", "--set", "evaluation.tasks=2"], TRAIN),
        (["compare", run], FINE),
        (["export", str(folder / "out"), *of, "--format", "trl"], FINE),
        (["export", str(folder / "pushed"), *of, "--format", "trl", "--push", "owner/name"], TRAIN),
        (["report", *of], FINE),
        (["show", run], FINE),
        (["show", run, "solved"], FINE),
        (["merge", *of], "no shards to merge"),
        (["view", run], SERVE),
        (["serve", "--min-isolation", "rlimits"], SERVE),
        (["doctor"], FINE),
    ]


def outcome(words: list[str]) -> tuple[int, str, str]:
    """Exit status, the last line on standard error, and both streams."""
    streams = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    status = 0
    sys.argv = ["iterpref", *words]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    said = ["", ""]
    for number, stream in enumerate(streams):
        stream.flush()
        said[number] = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return status, (said[1].strip().splitlines() or [""])[-1], "\n".join(said)


def wrong(words: list[str], expected: str) -> bool:
    status, last, everything = outcome(words)
    fine = (status == 0) if expected == FINE else (status == 1 and last.startswith("iterpref: ") and expected in last)
    fine = fine and "Traceback" not in everything
    print("fine " if fine else "WRONG", " ".join(words), "->", status, last if expected or not fine else "", flush=True)
    if not fine:
        print(everything, flush=True)
    return not fine


def every_verb(folder: Path) -> int:
    with open_run(folder / "run", {"pairing": {"empty_removed": "full"}}) as run:
        debug_with(answer, [task("solved"), task("unsolved")], run, name="answer", max_iterations=1)
    listed = commands(folder)
    failed = sum(wrong(words, expected) for words, expected in listed)
    missing = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    missing -= {words[0] for words, _ in listed}
    if missing:
        print(f"WRONG: verbs that this doesn't try: {missing}")
    return failed + len(missing)


if __name__ == "__main__":
    sys.exit(1 if every_verb(Path(sys.argv[1])) else 0)
