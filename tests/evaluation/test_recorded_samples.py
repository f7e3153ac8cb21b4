"""Samples files on parts of a benchmark, with verdicts of their own, and dates as YAML reads them; by the command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.evaluation import TaskChoice, load_benchmark

DOUBLE = "print(2 * int(input()))"


def problem(name: str, date: str, difficulty: str) -> dict[str, str]:
    """A problem as LiveCodeBench publishes it: read a number, print its double."""
    return {
        "question_id": name, "question_content": "Double the number.", "starter_code": "", "metadata": "{}",
        "public_test_cases": json.dumps([{"input": "2\n", "output": "4\n"}]),
        "private_test_cases": json.dumps([{"input": "5\n", "output": "10\n"}]),
        "difficulty": difficulty, "contest_date": f"{date}T00:00:00",
    }  # fmt: skip


PROBLEMS = [
    problem("q1", "2024-05-01", "easy"),
    problem("q2", "2024-08-01", "hard"),
    problem("q3", "2024-09-01", "easy"),
]
Evaluate = Callable[..., Any]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """`iterpref evaluate` of samples on the problems, with further `--set`; its last line, or the error raised."""
    benchmark, samples = tmp_path / "problems.jsonl", tmp_path / "samples_eval_all.json"
    benchmark.write_text("".join(f"{json.dumps(row)}\n" for row in PROBLEMS))

    def run(rows: list[dict[str, Any]], *settings: str, options: tuple[str, ...] = (), run: str = "") -> Any:
        samples.write_text(json.dumps(rows, indent=2))
        named = (
            "evaluation.benchmark=livecodebench-v1",
            f"evaluation.path={benchmark}",
            "sandbox.workers=1",
            *settings,
        )
        given = [word for setting in named for word in ("--set", setting)]
        command = [
            "evaluate",
            "--run",
            str(tmp_path / (run or uuid4().hex)),
            "--samples",
            str(samples),
            "--json",
            *given,
            *options,
        ]
        done = CliRunner().invoke(app, command)
        return json.loads(done.stdout.splitlines()[-1]) if done.exit_code == 0 else f"refused: {done.exception}"

    return run


def answers(**programs: str) -> list[dict[str, Any]]:
    return [{"question_id": name, "code_list": [program]} for name, program in programs.items()]


ALL = answers(q1=DOUBLE, q2=DOUBLE, q3="print(0)")


@pytest.mark.parametrize(
    ("setting", "score", "left_out"),
    [
        pytest.param("evaluation.options.since=2024-08-01", 0.5, 1, id="since"),
        pytest.param("evaluation.options.difficulty=easy", 0.5, 1, id="difficulty"),
        pytest.param("evaluation.tasks=2", 1.0, 1, id="the first tasks"),
    ],
)
def test_defect_31_a_full_samples_file_is_scored_on_a_part(
    evaluate: Evaluate, setting: str, score: float, left_out: int
) -> None:
    found = evaluate(ALL, setting)
    assert isinstance(found, dict), found
    assert (found["pass@1"], found["tasks"], found["left_out"]) == (score, 2, left_out)


def test_defect_31_ids_that_the_whole_benchmark_lacks_stay_an_error(evaluate: Evaluate) -> None:
    found = evaluate(answers(q1=DOUBLE, q2=DOUBLE, q9=DOUBLE), "evaluation.tasks=2")
    assert "q9 is not in the benchmark, which has q1, q2" in found
    assert "left_out" not in evaluate(ALL)  # nothing is said where nothing was


def test_defect_31_parts_of_other_benchmarks_know_the_rest(tmp_path: Path) -> None:
    """Ids as the tasks have them, also where the published rows write them otherwise."""
    rows = [{"task_id": n, "text": "Add.", "code": "x = 1", "test_list": ["assert x == 1"]} for n in (11, 12)]
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(f"{json.dumps(row | {'test_setup_code': ''})}\n" for row in rows))
    chosen = load_benchmark("mbpp-full", TaskChoice(limit=1), path=str(path))
    assert [task.task_id for task in chosen.tasks] == ["Mbpp/11"]
    assert set(getattr(chosen, "outside", set)()) == {"Mbpp/12"}
    part = load_benchmark("playground", TaskChoice(limit=298))
    rest = {task.task_id for task in load_benchmark("playground").tasks} - {task.task_id for task in part.tasks}
    assert set(getattr(part, "outside", set)()) == rest and len(rest) == 2


def test_defect_36_recorded_verdicts_are_kept_and_compared(evaluate: Evaluate) -> None:
    rows = [row | {"graded_list": [row["question_id"] != "q2"]} for row in ALL]
    found = evaluate(rows, run="run")
    assert isinstance(found, dict), found
    said = {name: found.get(name) for name in ("recorded_verdicts", "agree", "differ", "pass@1")}
    assert said == {"recorded_verdicts": 3, "agree": 1, "differ": "q2:0, q3:0", "pass@1": pytest.approx(2 / 3)}
    assert evaluate(rows, run="run") == found  # also when the Result is there already


def test_defect_36_a_graded_list_of_another_length_is_refused(evaluate: Evaluate) -> None:
    assert "element 1: expected a graded_list of as many" in evaluate([ALL[0] | {"graded_list": []}, *ALL[1:]])


@pytest.mark.parametrize("day", ["2024-08-01", "'2024-08-01'", "2024-08-01T12:30:00", "2024-08-01 12:30:00+02:00"])
def test_defect_30_dates_and_times_need_no_quotes(evaluate: Evaluate, tmp_path: Path, day: str) -> None:
    """A day or a point in time, by --set or in a file, is that day."""
    one = answers(q2=DOUBLE)
    plain = evaluate(one, "evaluation.options.since=2024-08-01", "evaluation.options.until=2024-08-15")
    assert plain["tasks"] == 1
    until = day.replace("2024-08-01", "2024-08-15")
    by_set = evaluate(one, f"evaluation.options.since={day}", f"evaluation.options.until={until}")
    assert by_set == plain  # the same Result, so that nothing is scored twice
    file = tmp_path / "own.yaml"
    file.write_text(f"evaluation:\n  options:\n    since: {day}\n    until: {until}\n")
    assert evaluate(one, options=("-c", str(file))) == plain
