"""What calls will take, by hand; and estimates of commands, which ask nothing and make nothing."""

import json
from pathlib import Path

import pytest
from endpoints import Scripted, completion
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.clients.base import Price
from iterpref.clients.estimate import CallGroup, estimate
from iterpref.playground.tasks import playground_tasks
from iterpref.prompts.own import SHIPPED
from iterpref.store import Store
from iterpref.synthesis.draft import Idea

OPENAI = ["--set", "client.kind=openai", "--set", "client.model=m", "--set", "client.base_url=http://h/v1"]
PRICED = [*OPENAI, "--set", "client.prompt_usd_per_million=2", "--set", "client.completion_usd_per_million=8"]


def test_totals_of_two_clients() -> None:
    first = CallGroup(100, 200, 500, Price(prompt=2e-6, completion=8e-6))
    repair = CallGroup(60, 900, 500, None)
    said = estimate([first, repair], [first, repair], tokens_per_s=10)
    assert said["expected_calls"] == 160
    assert said["expected_prompt_tokens"] == 100 * 200 + 60 * 900
    assert said["expected_completion_tokens"] == 160 * 500
    assert said["expected_usd"] == pytest.approx(100 * (200 * 2e-6 + 500 * 8e-6))
    assert said["expected_hours"] == pytest.approx(160 * 500 / 10 / 3600, abs=1e-4)
    assert "expected_hours" not in estimate([first], [first], None)


def test_no_prices_are_no_zero_dollars() -> None:
    unpriced = CallGroup(1, 1, 1, Price(prompt=0, completion=0))
    assert estimate([unpriced], [unpriced], None)["most_usd"] == "unknown: no prices are set"


def asked(*words: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [*map(str, words), "--estimate", "--json"])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_synthesis_is_estimated_without_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = [
        "--set",
        "synthesis.tasks=20",
        "--set",
        "synthesis.evolve_rounds=2",
        "--set",
        "synthesis.evolve_parts=3",
    ]
    said = asked("synthesize", "--run", run, *settings, *PRICED, "--tokens-per-s", "1000")
    assert (said["drafts"], said["expected_calls"], said["most_calls"]) == (20, 26, 26)
    assert said["most_completion_tokens"] == 26 * 4096
    assert said["most_hours"] == pytest.approx(26 * 4096 / 1000 / 3600, abs=1e-4)
    dollars = said["most_prompt_tokens"] * 2e-6 + 26 * 4096 * 8e-6  # type: ignore[operator]
    assert said["most_usd"] == pytest.approx(dollars, rel=0.01)
    assert not run.exists()


def test_synthesis_from_code_and_from_instructions(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("def f():\n    return 1\n" * 50)
    rows = tmp_path / "own.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"Write f{i}."}) + "\n" for i in range(3)))
    run = ["synthesize", "--run", tmp_path / "run", "--set", "synthesis.tasks=5"]
    code = ["--set", f"synthesis.snippets={tmp_path / 'code'}"]
    assert asked(*run, *code)["expected_calls"] == 5 + 1
    assert asked(*run, *code, "--set", "synthesis.inspire=true")["expected_calls"] == 5
    mine = asked(*run, "--set", f"synthesis.instructions={rows}")
    assert mine["expected_calls"] == 3
    one = len(Idea("own", instruction="Write f0.").messages(SHIPPED)[0].content.encode()) / 3
    assert mine["expected_prompt_tokens"] == round(3 * one)
    assert mine["expected_usd"] == 0  # a model in this process costs nothing


@pytest.mark.parametrize(
    ("mode", "calls"),
    [
        (["debugging.max_iterations=5"], (round(4 * (1 + 0.633 + 0.502 + 0.431 + 0.379 + 0.337)), 24)),
        (["debugging.mode=sampling", "debugging.draws=all", "debugging.max_iterations=5"], (24, 24)),
    ],
)
def test_debugging_is_estimated(tmp_path: Path, mode: list[str], calls: tuple[int, int]) -> None:
    run = tmp_path / "run"
    with Store.open(run) as store:
        store.put_tasks(playground_tasks("train", 4))
    options = [word for key in mode for word in ("--set", key)]
    said = asked("debug", "--run", run, *options, *PRICED, "--tokens-per-s", "50")
    assert (said["expected_calls"], said["most_calls"]) == calls
    assert said["most_completion_tokens"] == 24 * 1024
    assert said["most_hours"] == pytest.approx(24 * 1024 / 50 / 3600, abs=1e-4)


@pytest.mark.parametrize("words", [["--tokens-per-s", "5"], ["--estimate", "--tokens-per-s", "0"]])
def test_bad_input_a_rate_that_says_nothing(tmp_path: Path, words: list[str]) -> None:
    told = CliRunner().invoke(app, ["synthesize", "--run", str(tmp_path / "run"), *words])
    assert f"--tokens-per-s {words[-1]}: expected more than 0, together with --estimate" in str(told.exception)


def test_bad_input_seeds_that_can_not_be_read(tmp_path: Path) -> None:
    told = CliRunner().invoke(
        app, ["synthesize", "--run", str(tmp_path / "run"), "--estimate", "--set", "synthesis.snippets=gone"]
    )
    assert "synthesis.snippets: gone: expected a folder with .py files" in str(told.exception)
    assert not (tmp_path / "run").exists()


def test_an_estimate_is_of_what_debugging_then_asks(tmp_path: Path) -> None:
    """Four tasks that one model didn't solve in two iterations: nothing is left; with other settings it is."""
    run = tmp_path / "run"
    with Store.open(run) as store:
        store.put_tasks(playground_tasks("train", 4))

    def words(url: str, *more: str) -> list[str]:
        values = ["client.kind=openai", "client.model=m", f"client.base_url={url}", "debugging.max_iterations=1", *more]
        return ["debug", "--run", str(run), *(word for value in values for word in ("--set", value))]

    with Scripted(lambda body: (200, completion("```python\nx = 1\n```"))) as server:
        assert CliRunner().invoke(app, words(server.url)).exit_code == 0
        assert server.requests == 8
        done = asked(*words(server.url))
        assert (done["tasks_left"], done["expected_calls"]) == (0, 0)
        for change, calls in {
            "debugging.max_iterations=3": 8,
            "debugging.sampling.temperature=0.5": 8,
            "client.model=teacher": 8,
            "seed=7": 8,
            "repair_client={kind: openai, model: teacher}": 8,
        }.items():
            said = asked(*words(server.url, change))
            assert (change, said["tasks_left"], said["most_calls"]) == (change, 4, calls)
        assert CliRunner().invoke(app, words(server.url, "debugging.max_iterations=3")).exit_code == 0
        assert server.requests == 16
    elsewhere = asked(*words("http://127.0.0.1:9/v1"))
    assert (elsewhere["tasks_left"], elsewhere["based_on"]) == (4, "the paper's pass rates")
