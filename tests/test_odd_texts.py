"""Texts that no file carries (lone surrogates, NUL) break no record, no request and no message, wherever they enter."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.clients import Completion, Ledger, Request, Sampling
from iterpref.clients.replay import ReplayClient
from iterpref.pairing import judge_pairs
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Result, Span, Task, TestFile
from iterpref.store import Store
from iterpref.synthesis.draft import Unusable, read_draft

sys.path.append(str(Path(__file__).parent / "clients"))
from endpoints import Scripted, completion

TASK = Task(task_id="t/1", prompt="Write f(x).", tests=(TestFile(path="t.py", content="assert f(2) == 3"),),
            style="assert", entry_point="f")  # fmt: skip
SURROGATE, NUL = "a \ud800 b", "a \0 b"
PROGRAM = fenced("def f(x):\n    return x + 1  # {}")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "run") as store:
        store.put_tasks([TASK])
    return tmp_path / "run"


def options(**values: object) -> list[str]:
    return [part for name, value in values.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]


def invoke(*arguments: object) -> str:
    """What a command raised; "" where it ended well."""
    return repr(CliRunner().invoke(app, [str(argument) for argument in arguments]).exception or "")[:300]


@pytest.mark.parametrize("odd", [SURROGATE, NUL], ids=["surrogate", "NUL"])
def test_defect_11_a_completion_of_an_endpoint(run: Path, odd: str) -> None:
    with Scripted(lambda _: (200, completion(f"{odd} {PROGRAM.format('x')}"))) as endpoint:
        values = options(
            client__kind="openai", client__model="m", client__base_url=endpoint.url, client__max_attempts=1
        )
        assert invoke("debug", "--run", run, *values) == "''"
    readable(run)


@pytest.mark.parametrize("odd", [SURROGATE, NUL], ids=["surrogate", "NUL"])
def test_defect_11_a_recorded_completion(run: Path, tmp_path: Path, odd: str) -> None:
    """Within the program, so that it reaches the sandbox as well."""
    recording = tmp_path / "recording.jsonl"
    asked = [{"role": "user", "content": TASK.prompt}]
    recording.write_text(json.dumps({"messages": asked, "completions": [PROGRAM.format(odd)] * 6}) + "\n")
    values = options(client__kind="replay", client__model=recording, debugging__max_iterations=0)
    assert invoke("debug", "--run", run, *values) == "''"
    readable(run)


def readable(run: Path) -> None:
    """Each record as JSON, the report and the export."""
    with Store.open(run, write=False) as store:
        [trajectory] = store.trajectories()
        assert type(trajectory).model_validate_json(trajectory.model_dump_json()) == trajectory
    assert invoke("report", "--run", run) == "''"
    assert invoke("export", run.parent / "out.jsonl", "--run", run) == "''"


@pytest.mark.parametrize("odd", [SURROGATE, NUL], ids=["surrogate", "NUL"])
def test_defect_11_a_result(run: Path, tmp_path: Path, odd: str) -> None:
    benchmark = tmp_path / "own.jsonl"
    benchmark.write_text(TASK.model_dump_json() + "\n")
    with Scripted(lambda _: (200, completion(PROGRAM.format(odd)))) as endpoint:
        values = options(evaluation__benchmark=benchmark, evaluation__client__kind="openai",
                         evaluation__client__base_url=endpoint.url, evaluation__client__max_attempts=1)  # fmt: skip
        assert invoke("evaluate", "--run", run, "--model", "m", *values) == "''"
    with Store.open(run, write=False) as store:
        [result] = store.results()
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_defect_11_a_reason_of_the_judge(run: Path, tmp_path: Path) -> None:
    class Judge:
        name = "judge"

        async def complete(self, request: Request) -> Completion:
            return Completion(text=r'{"logical": true, "reason": "a \ud800 b"}')

        def close(self) -> None: ...

    spans = {"chosen_spans": (Span(start=0, stop=1),), "rejected_spans": (Span(start=0, stop=1),)}
    pair = PreferencePair(pair_id="p", task_id="t", prompt="p", chosen="a = 1", rejected="b = 1", diff="",
                          diff_version=1, render_template="", **spans)  # fmt: skip
    with Store.open(run) as store:
        failed = ""
        try:
            progress = asyncio.run(judge_pairs([pair], Ledger(Judge(), store), store))
        except UnicodeEncodeError as error:
            failed = str(error)
        assert failed == ""
        assert progress.judged == 1


@pytest.mark.parametrize("odd", [SURROGATE, NUL], ids=["surrogate", "NUL"])
def test_defect_11_a_prompt_of_an_imported_task(run: Path, tmp_path: Path, odd: str) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps(TASK.model_dump(mode="json") | {"task_id": f"odd {odd}", "prompt": odd}) + "\n")
    assert invoke("import", tasks, "--run", run) == "''"
    asked: list[Any] = []
    with Scripted(lambda body: (asked.append(body), (200, completion(PROGRAM)))[1]) as endpoint:
        values = options(client__kind="openai", client__model="m", client__base_url=endpoint.url)
        assert invoke("debug", "--run", run, *values) == "''"
    assert len(asked) == 2


@pytest.mark.parametrize("path", ["test/../../x.py", "test\0.py"])
def test_defect_11_a_path_that_no_file_can_have(path: str) -> None:
    reply = (
        '<instruction>\nWrite f.\n</instruction>\n<file path="solution.py">\ndef f(): return 1\n</file>\n'
        f'<file path="{path}">\nfrom solution import f\nassert f() == 1\n</file>'
    )
    said = ""
    try:
        read_draft(reply, "teacher")
    except (Unusable, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
    assert said == "Unusable: a path outside"


def test_defect_11_a_run_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/run-\xff"
    os.mkdir(folder)
    with Store.open(os.fsdecode(folder)) as store:
        store.put_tasks([TASK])
    line = [sys.executable, "-m", "iterpref", "report", "--run", os.fsdecode(folder)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_defect_11_a_recording_is_found_by_what_was_asked(tmp_path: Path) -> None:
    """Of a prompt with a lone surrogate, on both sides."""
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": SURROGATE}], "completions": [SURROGATE]}))
    answer = asyncio.run(ReplayClient(path).complete(Request.from_user(SURROGATE, Sampling())))
    assert answer.text.encode().decode() == "a \ufffd b"
