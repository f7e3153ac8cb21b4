"""SandboxFusion's published client, against our service."""

import asyncio
import base64

import pytest
from services import Start, post

fusion = pytest.importorskip("sandbox_fusion", reason="sandbox-fusion is not installed")

from sandbox_fusion import RunCodeRequest, SubmitRequest, TestConfig  # noqa: E402

TestConfig.__test__ = False
OJ = {"id": 7, "content": "Double it.", "test": [
    {"input": {"stdin": "2\n"}, "output": {"stdout": "4\n"}},
    {"input": {"stdin": "5\n"}, "output": {"stdout": "10"}},
]}  # fmt: skip


def run(url: str, code: str, **more: object):
    return fusion.run_code(RunCodeRequest(code=code, **{"language": "python", **more}), endpoint=url, max_attempts=1)


def submit(url: str, completion: str, data: object, **more: object):
    config = TestConfig(dataset_type="CommonOJDataset", language="python", provided_data=data, run_timeout=5)
    request = SubmitRequest(dataset="x", id=7, completion=completion, config=config)
    return fusion.submit(request, endpoint=url, max_attempts=1)


def test_a_script_and_what_it_printed(url: str) -> None:
    found = run(url, "import sys\nprint(2 * int(input()))\nprint('é', file=sys.stderr)", stdin="4\n")
    assert (found.status, found.run_result.return_code) == ("Success", 0)
    assert (found.run_result.stdout, found.run_result.stderr) == ("8\n", "é\n")
    assert found.run_result.status == "Finished" and found.compile_result is None


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("raise ValueError('no')", 1, "line 1: raise ValueError('no')\nValueError: no\n"),
        ("assert 1 == 2", 1, "AssertionError"),
        ("def f(:", 1, "SyntaxError"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('bye')", 1, "bye\n"),
        ("raise SystemExit", 0, ""),
        ("import os; os._exit(4)", 4, ""),
    ],
)
def test_how_scripts_end(url: str, code: str, status: int, said: str) -> None:
    found = run(url, f"print('begun', flush=True)\n{code}" if code != "def f(:" else code)
    assert (found.status, found.run_result.return_code) == ("Success" if status == 0 else "Failed", status)
    assert said.replace("line 1", "line 2") in found.run_result.stderr
    assert found.run_result.stdout == ("" if code == "def f(:" else "begun\n")


def test_a_program_and_its_tests_in_one_text(url: str) -> None:
    assert run(url, "def f(x): return 2 * x\nassert f(2) == 4").status == "Success"
    assert run(url, "def f(x): return 3 * x\nassert f(2) == 4").status == "Failed"
    test = "def test_it():\n    assert 2 * 2 == {}\n"
    assert run(url, test.format(4), language="pytest").status == "Success"
    failed = run(url, test.format(5), language="pytest")
    assert failed.status == "Failed" and "== 5" in failed.run_result.stderr


def test_time_runs_out(url: str) -> None:
    found = run(url, "while True: pass", run_timeout=0.5)
    assert (found.status, found.run_result.status, found.run_result.return_code) == (
        "Failed",
        "TimeLimitExceeded",
        None,
    )


def test_files_and_long_output(url: str) -> None:
    data = base64.b64encode(b"zwei\n").decode()
    assert (
        run(url, "print(open('a/b.txt').read() * 2, end='')", files={"a/b.txt": data}).run_result.stdout
        == "zwei\nzwei\n"
    )
    assert len(run(url, "print('x' * 100_000)").run_result.stdout) == 100_001


@pytest.mark.parametrize("end", ["", "while True: print('x' * 1000)"])
def test_output_that_was_cut_off_is_no_success(url: str, end: str) -> None:
    found = run(url, f"import os\nos.write(1, b'x' * (2 << 20))\n{end}")
    assert found.status == "Failed" and found.run_result.return_code not in (0, None)
    assert "hit its limit output_bytes" in found.run_result.stderr


def test_submitted_completions(url: str) -> None:
    right = submit(url, "So:\n```python\nprint(2 * int(input()))\n```", OJ)
    assert right.accepted and right.id == 7 and [test.passed for test in right.tests] == [True, True]
    assert (right.extracted_code, right.extracted_type) == ("print(2 * int(input()))", "fenced")
    half = submit(url, "```python\ninput(); print(4)\n```", [OJ])
    assert not half.accepted and [test.passed for test in half.tests] == [True, False]
    none = submit(url, "I can't.", OJ)
    assert not none.accepted and none.tests == [] and none.extracted_type == "empty"


def test_submitted_completions_with_tests_in_other_forms(url: str) -> None:
    completion = "```python\ndef double(x): return 2 * x\n```"
    for data in (
        {"test_list": ["assert double(2) == 4"]},
        {"test": "def check(f):\n    assert f(2) == 4\n", "entry_point": "double"},
        {"tests": {"inputs": [""], "outputs": [""]}},
    ):
        assert submit(url, completion, data).accepted, data


def test_the_async_client(url: str) -> None:
    async def all_at_once():
        codes = [f"print({n})" for n in range(20)]
        requests = [RunCodeRequest(code=code, language="python") for code in codes]
        return await asyncio.gather(*(fusion.run_code_async(one, endpoint=url, max_attempts=1) for one in requests))

    assert [one.run_result.stdout for one in asyncio.run(all_at_once())] == [f"{n}\n" for n in range(20)]


def test_it_waits_where_all_places_are_taken(start: Start) -> None:
    url = start(1, queue=0)

    async def both():
        request = RunCodeRequest(code="import time; time.sleep(0.5); print(1)", language="python")
        return await asyncio.gather(*(fusion.run_code_async(request, endpoint=url, max_attempts=9) for _ in range(2)))

    assert [one.run_result.stdout for one in asyncio.run(both())] == ["1\n", "1\n"]


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        (
            "run_code",
            {"code": "int main(){}", "language": "cpp"},
            "language 'cpp': this service runs python and pytest",
        ),
        ("run_code", {"code": "x", "language": "python", "fetch_files": ["a"]}, "files are not fetched here"),
        ("run_code", {"code": "x", "files": {"a": "%%%"}}, "files: 'a': base64 of a text in UTF-8 expected"),
        ("run_code", {"code": "x", "files": {"../a": "eA=="}}, "a relative path"),
        ("run_code", {"language": "python"}, "run_code: code: Field required"),
        ("run_code", {"code": "x", "run_timeout": 1e6}, "limits: cpu_s 1e+06 (at most 300)"),
        ("submit", {"completion": "x"}, "no row with the tests of id 0"),
        (
            "submit",
            {"completion": "x", "config": {"provided_data": {"content": "x"}}},
            "no tests: looked for the column",
        ),
        ("submit", {"completion": "x", "config": {"provided_data": [{"id": 3}]}}, "no row with the tests of id 0"),
        (
            "submit",
            {"completion": "x", "config": {"run_timeout": -1, "provided_data": OJ}},
            "cpu_s: Input should",
        ),
        ("run_code", {"code": "x", "run_timeout": -1}, "cpu_s: Input should"),
        ("submit", {"completion": "x", "config": {"language": "go"}}, "config.language 'go': this service runs python"),
        (
            "submit",
            {"completion": "x", "config": {"provided_data": {"test": [{"input": {"a.txt": ""}, "output": {}}]}}},
            "input names 'a.txt'; only stdin is known",
        ),
    ],
)
def test_bad_input_what_is_not_served(url: str, route: str, body: dict[str, object], said: str) -> None:
    answer = post(f"{url}/{route}", body)
    assert answer.status_code == 422 and said in answer.json()["error"], answer.text
