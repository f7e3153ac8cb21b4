"""One rule for settings: a run keeps those of the command that made it; `--set` and `-c` of later ones hold once."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from iterpref.cli import app
from iterpref.config.load import dump_config, load_config
from iterpref.errors import IterPrefError
from iterpref.playground.tasks import playground_tasks
from iterpref.records import ImportedPair
from iterpref.store import Store


def iterpref(*words: object) -> Result:
    """One command, in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def refusal(*words: object) -> str:
    """The message with which a command is refused."""
    result = iterpref(*words)
    assert isinstance(result.exception, IterPrefError), result.output
    return str(result.exception)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with tasks, pairs and settings of its own, as an earlier version left them too: with `null` sections."""
    folder = tmp_path / "run"
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", 4))
        pair = {"task_id": "p", "prompt": "p", "chosen": "a = 1\nb = 2", "rejected": "a = 1\nb = 3"}
        store.put_imported_pairs([ImportedPair(pair_id="p", **pair)])
    (folder / "config.yaml").write_text(dump_config(load_config(None, ["seed=3"])))
    return folder


def kept(run: Path) -> str:
    return (run / "config.yaml").read_text()


ONCE = {
    "pair": ["pair", "--set", "pairing.negatives=each"],
    "an estimate": ["debug", "--estimate", "--set", "client.kind=openai", "--set", "client.model=gpt-4o"],
    "a refused benchmark": ["evaluate", "--set", "evaluation.benchmark=humanevel+"],
    "a model that does not load": ["debug", "--set", "client.kind=replay", "--set", "client.model=absent.jsonl"],
}


@pytest.mark.parametrize("words", ONCE.values(), ids=ONCE)
def test_defect_21_a_setting_holds_for_one_command(run: Path, words: list[str]) -> None:
    before = kept(run)
    iterpref(*words, "--run", run)
    assert kept(run) == before


def test_defect_21_a_file_holds_for_one_command(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("pairing: {negatives: first}\n")
    before = kept(run)
    assert iterpref("pair", "--run", run, "-c", tmp_path / "other.yaml").exit_code == 0
    assert kept(run) == before


@pytest.mark.parametrize("verb", ["pair", "train", "debug", "import", "evaluate", "run"])
def test_defect_21_each_help_says_how_long_a_setting_holds(verb: str) -> None:
    text = " ".join(iterpref(verb, "--help").output.split())
    assert "for this command only" in text
    assert "config" in text


def test_stumble_1_the_settings_of_a_run_are_changed_on_purpose(run: Path) -> None:
    result = iterpref("config", "--run", run, "set", "pairing.negatives=each", "evaluation.client.kind=openai")
    assert result.exit_code == 0
    assert set(result.output.splitlines()[-3:]) == {  # what differs from the defaults, and not ninety lines
        "seed: 3  # default: 0",
        "pairing.negatives: each  # default: random",
        "evaluation.client.kind: openai  # default: null",
    }
    values = yaml.safe_load(kept(run))
    assert (values["seed"], values["pairing"]["negatives"]) == (3, "each")
    assert values["evaluation"]["client"]["kind"] == "openai"
    shown = iterpref("config", "--run", run).output
    assert "negatives: each  # default: random" in shown
    assert yaml.safe_load(shown) == values
    changed = json.loads(iterpref("config", "--run", run, "--json").output.splitlines()[-1])["changed"]
    assert changed == {"seed": 3, "pairing.negatives": "each", "evaluation.client.kind": "openai"}


def test_stumble_1_a_file_replaces_the_settings_of_a_run(run: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("pairing: {negatives: first}\n")
    assert iterpref("config", "--run", run, "-c", tmp_path / "recipe.yaml", "set", "seed=5").exit_code == 0
    assert (load_config(run / "config.yaml").seed, load_config(run / "config.yaml").pairing.negatives) == (5, "first")


@pytest.mark.parametrize(
    "words", [["set", "pairing.negative=each"], ["set"], ["pairing.negatives=each"], ["unset", "seed"]]
)
def test_stumble_1_settings_that_cannot_be_used_are_not_kept(run: Path, words: list[str]) -> None:
    before = kept(run)
    assert "pairing.negatives" in (said := refusal("config", "--run", run, *words)) or "KEY=VALUE" in said
    assert kept(run) == before


def test_the_command_that_makes_a_run_gives_it_its_settings(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("pairing: {negatives: first}\n")
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"prompt": "p", "chosen": "a = 1", "rejected": "a = 2"}) + "\n")
    made = ["import", tmp_path / "pairs.jsonl", "--run", tmp_path / "new", "-c", tmp_path / "recipe.yaml"]
    assert iterpref(*made, "--set", "seed=9").exit_code == 0
    config = load_config(tmp_path / "new" / "config.yaml")
    assert (config.pairing.negatives, config.seed) == ("first", 9)
    assert iterpref(*made, "--set", "seed=10").exit_code == 0
    assert load_config(tmp_path / "new" / "config.yaml").seed == 9


def test_the_run_is_made_also_where_a_row_is_bad(tmp_path: Path) -> None:
    """What was imported was imported with these settings."""
    row = json.dumps({"prompt": "p", "chosen": "a = 1", "rejected": "a = 2"})
    (tmp_path / "pairs.jsonl").write_text(f"{row}\n{{\n")
    assert "pairs.jsonl:2" in refusal("import", tmp_path / "pairs.jsonl", "--run", tmp_path / "new", "--set", "seed=9")
    assert load_config(tmp_path / "new" / "config.yaml").seed == 9


@pytest.mark.parametrize(
    "words",
    [["import", "absent.jsonl"], ["evaluate", "--set", "evaluation.benchmark=humanevel+"]],
    ids=["import", "evaluate"],
)
def test_stumble_1_a_command_that_fails_to_make_a_run_leaves_none(tmp_path: Path, words: list[str]) -> None:
    refusal(*words, "--run", tmp_path / "new", "--set", "seed=9")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("verb", ["pair", "validate", "judge", "revise", "debug", "merge", "run"])
def test_stumble_13_a_verb_on_a_run_that_is_not_there_makes_none(run: Path, verb: str) -> None:
    said = refusal(verb, "--run", run.parent / "rum")
    assert "rum: no run here" in said
    assert f"did you mean {run}?" in said
    assert not (run.parent / "rum").exists()


def test_stumble_4_a_client_of_its_own_can_be_set_in_a_run_that_has_none(run: Path) -> None:
    """config.yaml holds `client: null`; what fails is the call, to an address where nobody listens."""
    url = "evaluation.client.base_url=http://127.0.0.1:9/v1"
    own = ["evaluation.client.kind=openai", url, "evaluation.client.max_attempts=1", "evaluation.tasks=1"]
    words = [word for setting in own for word in ("--set", setting)]
    assert "127.0.0.1:9" in refusal("evaluate", "--run", run, "--model", "m", *words)


def test_stumble_1_the_report_shows_the_settings_of_each_stage(run: Path) -> None:
    assert iterpref("pair", "--run", run, "--set", "pairing.negatives=last").exit_code == 0
    assert iterpref("pair", "--run", run, "--set", "pairing.negatives=each").exit_code == 0
    refusal("debug", "--run", run, "--set", "client.kind=replay", "--set", "client.model=absent.jsonl")
    assert iterpref("report", "--run", run).exit_code == 0
    page = (run / "report.html").read_text()
    assert "<code>pairing.negatives: &#34;each&#34;</code>" in page
    assert "&#34;last&#34;" not in page  # its pairs are gone
    assert "absent.jsonl" not in page  # nothing was made with it


def recording(path: Path, run: Path) -> Path:
    with Store.open(run, write=False) as store:
        asked = {task.prompt: f"```python\n{task.reference}\n```" for task in store.tasks()}
    rows = [
        {"messages": [{"role": "user", "content": prompt}], "completions": [said]} for prompt, said in asked.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def shard(run: Path, part: str, *settings: str) -> Result:
    words = [word for setting in ("debugging.max_iterations=0", *settings) for word in ("--set", setting)]
    return iterpref("debug", "--run", run, "--shard", part, "--set", "sandbox.min_isolation=rlimits", *words)


def test_stumble_1_shards_of_different_settings_are_not_mixed(run: Path, tmp_path: Path) -> None:
    one, two = (recording(tmp_path / name, run) for name in ("one.jsonl", "two.jsonl"))
    assert shard(run, "1/2", "client.kind=replay", f"client.model={one}").exit_code == 0
    assert shard(run, "2/2", "client.kind=replay", f"client.model={two}").exit_code == 0
    merged = iterpref("merge", "--run", run)
    assert isinstance(merged.exception, IterPrefError), merged.output
    assert f"client.model='{one}'" in str(merged.exception)
    assert f"client.model='{two}'" in str(merged.exception)
    with Store.open(run) as store:
        assert store.count("trajectories") == 0
    assert iterpref("merge", "--run", run, "--mixed").exit_code == 0
    with Store.open(run) as store:
        assert store.count("trajectories") == 4


def test_shards_of_equal_settings_are_merged_and_say_them(run: Path, tmp_path: Path) -> None:
    one = recording(tmp_path / "one.jsonl", run)
    for part, workers in (("1/2", 1), ("2/2", 2)):
        done = shard(run, part, "client.kind=replay", f"client.model={one}", f"sandbox.workers={workers}")
        assert done.exit_code == 0, done.output
    assert iterpref("merge", "--run", run, "--json").exit_code == 0
    iterpref("report", "--run", run)
    assert "<code>client.kind: &#34;replay&#34;</code>" in (run / "report.html").read_text()
