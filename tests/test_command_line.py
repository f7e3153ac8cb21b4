"""What the command line says first and last, of itself, and of mistakes in a line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from iterpref.cli import app
from iterpref.config.load import dump_config, load_config
from iterpref.errors import IterPrefError
from iterpref.playground.tasks import playground_tasks
from iterpref.store import Store

TASK = {"prompt": "Double x.", "style": "assert", "entry_point": "f",
        "tests": [{"path": "t.py", "content": "assert f(2) == 4"}]}  # fmt: skip


def iterpref(*words: object, columns: int = 80) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(columns)})


def refusal(*words: object) -> str:
    result = iterpref(*words)
    assert isinstance(result.exception, IterPrefError), result.output
    return str(result.exception)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", 2))
    (folder / "config.yaml").write_text(dump_config(load_config(None, [])))
    return folder


# --- the first line ---


def test_stumble_8_the_first_line_says_that_the_model_is_the_toy(run: Path) -> None:
    first = iterpref("debug", "--estimate", "--run", run).stderr.splitlines()[:1]
    assert first == [
        f"debug {run}: settings {run}/config.yaml; client playground, the 1.65 M toy coder, in this process "
        "(another: --set client.model=NAME)"
    ]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["debug", "--estimate", "--set", "client.kind=openai", "--set", "client.model=gpt-4o"],
            ["config.yaml, --set client.kind, --set client.model", "client gpt-4o at api.openai.com", "no budget"],
        ),
        (["train", "--set", "model=absent/model"], ["--set model", "model absent/model"]),
        (["evaluate", "--set", "evaluation.benchmark=humanevel+"], ["model playground", "benchmark humanevel+"]),
        (["judge"], ["client playground"]),
    ],
    ids=["endpoint", "train", "evaluate", "judge"],
)
def test_stumble_8_the_first_line_names_what_is_used(run: Path, words: list[str], parts: list[str]) -> None:
    first = (iterpref(*words, "--run", run).stderr.splitlines() or [""])[0]
    assert str(run) in first
    for part in parts:
        assert part in first


def test_stumble_8_the_file_is_named_where_one_is_given(run: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed: 1\n")
    result = iterpref("debug", "--estimate", "--run", run, "-c", tmp_path / "recipe.yaml")
    assert f"settings {tmp_path}/recipe.yaml" in result.stderr


# --- the last lines ---


def test_stumble_13_shares_are_percentages(tmp_path: Path) -> None:
    tasks = [{"task_id": f"t/{i}", **TASK} for i in range(3)]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    programs = ["def f(x):\n    return 2 * x", "def f(x):\n    return x", "def f(x):\n    return 0"]
    samples = [{"task_id": f"t/{i}", "solution": program} for i, program in enumerate(programs)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    own = ["--set", f"evaluation.benchmark={tmp_path / 'tasks.jsonl'}", "--set", "sandbox.min_isolation=rlimits"]
    result = iterpref("evaluate", "--run", tmp_path / "run", "--samples", tmp_path / "samples.jsonl", *own)
    assert "pass@1: 33.3%" in result.output


# --- help ---


def test_stumble_13_the_version_can_be_asked_for() -> None:
    import iterpref as package

    result = iterpref("--version")
    assert (result.exit_code, result.output) == (0, f"iterpref {package.__version__}\n")


def test_stumble_13_help_is_short_for_and_whole() -> None:
    result = iterpref("-h")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "steered by a feature tree or by code of yours." in text
    assert "or the trajectories, for `iterpref import`." in text
    assert "--install-completion" in result.output


@pytest.mark.parametrize("verb", ["pair", "train", "import", "report", "export"])
def test_stumble_13_an_example_keeps_its_line(verb: str) -> None:
    lines = [line.strip() for line in iterpref(verb, "-h", columns=200).output.splitlines()]
    assert any(line.startswith("Example: iterpref ") for line in lines)


# --- mistakes ---


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["train", "--model", "m"], "--set model=VALUE"),
        (["train", "--learning-rate", "1e-5"], "--set training.learning_rate=VALUE"),
        (["debug", "--max-iterations", "2"], "--set debugging.max_iterations=VALUE"),
        (["trian"], "Did you mean 'train'"),
    ],
    ids=["model", "learning rate", "iterations", "verb"],
)
def test_bad_input_an_unknown_option_that_is_a_setting(words: list[str], advice: str) -> None:
    result = iterpref(*words)
    assert result.exit_code == 2
    assert advice in " ".join(result.output.split())


def test_bad_input_a_run_is_missing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    result = iterpref("pair")
    assert result.exit_code == 2
    assert "Runs here: run." in " ".join(result.output.split())


def test_stumble_13_run_says_that_there_are_no_tasks_before_it_evaluates(tmp_path: Path) -> None:
    Store.open(tmp_path / "run").close()
    assert "no tasks to debug" in refusal("run", "--run", tmp_path / "run", "--set", "evaluation.tasks=1")
    with Store.open(tmp_path / "run", write=False) as store:
        assert store.count("results") == 0


@pytest.mark.parametrize("verb", ["pair", "validate", "judge", "revise"])
def test_stumble_13_a_verb_that_comes_too_early_says_so(tmp_path: Path, verb: str) -> None:
    Store.open(tmp_path / "run").close()
    said = refusal(verb, "--run", tmp_path / "run", "--set", "client.kind=replay", "--set", "client.model=absent")
    assert f"{tmp_path / 'run'}: no " in said
    assert "iterpref" in said


def without_torch(*words: object) -> str:
    """What a command says that is refused before torch is loaded."""
    code = (
        "import sys\nfrom iterpref.cli import app\nfrom iterpref.errors import IterPrefError\n"
        "try:\n    app(sys.argv[1:])\nexcept IterPrefError as error:\n    print('torch' in sys.modules, error)"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    said, _, message = done.stdout.strip().partition(" ")
    assert said == "False", done.stdout + done.stderr
    return message


def test_stumble_13_a_typo_in_a_training_key_is_found_before_torch_is_loaded(run: Path) -> None:
    said = without_torch("train", "--run", run, "--set", "training.learning_rat=1e-5")
    assert said == "training: unknown key learning_rat; did you mean learning_rate?"


def test_stumble_13_that_there_are_no_pairs_is_said_before_torch_is_loaded(run: Path) -> None:
    assert "no Parquet files" in without_torch("train", "--run", run)


def test_bad_input_a_training_key_is_never_kept(run: Path, tmp_path: Path) -> None:
    before = (run / "config.yaml").read_text()
    assert "did you mean beta?" in refusal("config", "--run", run, "set", "training.betta=1")
    assert (run / "config.yaml").read_text() == before


# --- completion ---


@pytest.mark.parametrize(
    ("typed", "offered"), [("iterpref de", {"debug", "demo"}), ("iterpref pair --revi", {"--reviewed"})]
)
def test_a_shell_can_complete_verbs_and_options(typed: str, offered: set[str]) -> None:
    code = "import sys; sys.argv = ['iterpref']; from iterpref.cli import main; main()"
    asked = {"_ITERPREF_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked})
    assert set(done.stdout.split()) == offered, done.stderr
