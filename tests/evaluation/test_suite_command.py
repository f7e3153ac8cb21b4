"""Models on several benchmarks by one command: the table, going on where it was stopped, and mistakes told early."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.config.suites import PAPER_SUITE
from iterpref.evaluation.benchmarks.registry import NAMES
from iterpref.playground.coder import coder_path
from iterpref.store import Store

QUICK = ["sandbox.min_isolation=rlimits", "evaluation.tasks=3", "evaluation.sampling.max_tokens=96"]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that solves nothing."""
    folder = tmp_path_factory.mktemp("models") / "untrained"
    tokenizer = AutoTokenizer.from_pretrained(coder_path())
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(**shape, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, bos_token_id=None)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    test = {"path": "t.py", "content": "assert f(2) == 4"}
    task = {"task_id": "t/1", "prompt": "Write f.", "tests": [test], "style": "assert", "entry_point": "f"}
    (tmp_path / "own.jsonl").write_text(json.dumps(task))
    return tmp_path / "own.jsonl"


def suite(run: Path, *words: object):
    settings = [word for setting in QUICK for word in ("--set", setting)]
    return CliRunner().invoke(app, ["suite", "--run", str(run), *settings, *map(str, words)])


def test_a_suite_that_was_stopped_goes_on(tmp_path: Path, untrained: Path, own: Path) -> None:
    """The second benchmark isn't there at first: its cells are empty, and are all that the next call evaluates."""
    run, later = tmp_path / "run", own.rename(tmp_path / "later.jsonl")
    asked = ["--model", "playground", "--model", untrained, "--benchmark", "playground", "--benchmark", own]
    first = suite(run, *asked, "--json")
    assert first.exit_code == 1
    assert "2 of 4 cells are empty; run the same command again" in str(first.exception)
    half = json.loads(first.stdout.splitlines()[-1])
    assert [row["values"][str(own)] for row in half["rows"]] == [None, None]
    [why] = half["missing"]
    assert why.startswith(f"playground on {own}, untrained on {own}: ") and "can't read this benchmark" in why
    with Store.open(run, write=False) as store:
        calls = store.count("calls")
    later.rename(own)
    files = ["--markdown", tmp_path / "t.md", "--latex", tmp_path / "t.tex", "--baseline", "untrained"]
    second = suite(run, *asked, *files)
    assert second.exit_code == 0, second.output
    with Store.open(run, write=False) as store:
        assert store.count("calls") == calls + 2
        assert store.count("results") == 4
    assert second.stdout.rstrip() == (tmp_path / "t.md").read_text().rstrip()
    head, _, coder, difference, base = second.stdout.splitlines()[:5]
    assert head == "| model | playground | own.jsonl | Avg |"
    assert coder.startswith("| playground | ") and base == "| untrained | 0.0 | 0.0 | 0.0 |"
    assert difference.startswith("|  | +") or coder.startswith("| playground | 0.0")
    assert (tmp_path / "t.tex").read_text().startswith("% iterpref suite\n\\begin{tabular}{lrrr}")
    third = suite(run, *asked, "--json")
    assert third.exit_code == 0
    with Store.open(run, write=False) as store:
        assert store.count("calls") == calls + 2


def test_the_papers_suite_names_benchmarks_that_exist() -> None:
    assert len(PAPER_SUITE) == 9
    assert PAPER_SUITE.keys() <= set(NAMES)


def test_settings_of_one_benchmark(tmp_path: Path, untrained: Path) -> None:
    words = ["--model", untrained, "--set", "suite.benchmarks={playground: {tasks: 2, sampling: {max_tokens: 8}}}"]
    done = suite(tmp_path / "run", *words)
    assert done.exit_code == 0, done.output
    with Store.open(tmp_path / "run", write=False) as store:
        [found] = store.results()
    assert (found.settings["tasks"], found.settings["sampling"]["max_tokens"]) == (2, 8)
    assert found.settings["sampling"]["temperature"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmark", "humanevel+"], "benchmark humanevel+: unknown; did you mean humaneval+"),
        (["--set", "suite.benchmarks={playground: {sampling: {max_tokenz: 1}}}"],
         "suite.benchmarks.playground.sampling.max_tokenz: Extra inputs"),
        (["--set", "suite.benchmarks={mbpp+: {samples: 0}}"], "suite.benchmarks.mbpp+.samples: Input should be"),
        (["--model", "a", "--model", "a"], "--model: a, a name a model twice"),
        (["--model", "a", "--baseline", "b"], "--baseline b: not among the models; expected one of a"),
        (["--level", "95"], "--level 95: expected a share between 0 and 1"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_a_model_is_loaded(tmp_path: Path, words: list[str], message: str) -> None:
    told = suite(tmp_path / "run", *words)
    assert told.exit_code == 1
    assert message in str(told.exception)
    assert not (tmp_path / "run" / "run.sqlite").exists()


def test_bad_input_a_file_that_no_suite_wrote(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Mine.")
    told = suite(tmp_path / "run", "--markdown", tmp_path / "notes.md")
    assert told.exit_code == 1
    assert (tmp_path / "notes.md").read_text() == "Mine."
