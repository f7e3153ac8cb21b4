"""`iterpref compare RUN`: the models of one run, by names that a person can tell."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.records import Execution, Result, Sample
from iterpref.store import Store


def result(name: str, model: str, solved: str, benchmark: str = "own") -> Result:
    """`solved`: one character a task, + or -."""
    samples = tuple(
        Sample(
            task_id=f"t{i}",
            sample_index=0,
            completion="",
            program="def f(): pass",
            execution=Execution(verdict="passed" if sign == "+" else "failed", trust="oracle", isolation="zygote"),
        )
        for i, sign in enumerate(solved)
    )
    return Result(result_id=name, benchmark=benchmark, model=model, dataset_hash="d", protocol="chat, greedy",
                  samples=samples, metrics={"pass@1": 0.5})  # fmt: skip


def compare(run: Path, *results: Result) -> Any:
    with Store.open(run) as store:
        for made in results:
            store.put_result(made)
    done = CliRunner().invoke(app, ["compare", str(run), "--json"])
    return json.loads(done.stdout.splitlines()[-1]) if done.exit_code == 0 else f"refused: {done.exception}"


def test_stumble_13_before_and_after_are_compared(tmp_path: Path) -> None:
    """By their order of evaluation, whatever their hashes."""
    found = compare(tmp_path, result("ff", "local:coder", "+---"), result("00", "local:model", "+++-"))
    assert isinstance(found, dict), found
    assert found["entrants"] == ["local:coder", "local:model"]
    [comparison] = found["comparisons"]
    assert (comparison["difference"], comparison["won"], comparison["lost"]) == (0.5, ["t1", "t2"], [])


def test_stumble_13_all_models_of_a_run_are_compared_on_each_benchmark(tmp_path: Path) -> None:
    models = [result(f"{b}{m}", m, "+-", b) for m in "abc" for b in ("one", "two")]
    found = compare(tmp_path, *models)
    assert isinstance(found, dict), found
    assert len(found["comparisons"]) == 6


@pytest.mark.parametrize(
    ("results", "said"),
    [
        pytest.param([result("1", "m", "+"), result("2", "m", "-"), result("3", "n", "-")], "several results on own",
                     id="a model twice"),
        pytest.param([result("1", "m", "+")], "only one model was evaluated", id="one model"),
    ],
)  # fmt: skip
def test_stumble_13_what_can_be_chosen_is_named_beside_the_hash(
    tmp_path: Path, results: list[Result], said: str
) -> None:
    found = compare(tmp_path, *results)
    assert said in found
    assert f"{tmp_path / 'results' / '1.json'}: m on own (chat, greedy)" in found


def test_stumble_12_compare_replaces_its_own_files_only(tmp_path: Path) -> None:
    for name in "ab":
        with Store.open(tmp_path / name) as store:
            store.put_result(result(name, name, "+-"))
    page, tables = tmp_path / "page.html", tmp_path / "tables.md"
    runs = [str(tmp_path / name) for name in "ab"]
    command = ["compare", *runs, "--html", str(page), "--markdown", str(tables)]
    for _ in range(2):
        assert CliRunner().invoke(app, command).exit_code == 0
    tables.write_text("# My notes\n")
    assert "was not written by iterpref" in str(CliRunner().invoke(app, command).exception)
    assert tables.read_text() == "# My notes\n"
    assert CliRunner().invoke(app, [*command, "--overwrite"]).exit_code == 0
