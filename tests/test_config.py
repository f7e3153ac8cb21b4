from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from iterpref.clients import Client, ClientConfig
from iterpref.clients.local import LocalConfig
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.replay import ReplayConfig
from iterpref.config import Config
from iterpref.config.keys import sections
from iterpref.config.load import dump_config, load_config
from iterpref.errors import ConfigError


def test_defaults_round_trip_through_yaml(tmp_path: Path) -> None:
    config = load_config(None, ["debugging.max_iterations=2", "training.learning_rate=3e-4"])
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "c.yaml") == config


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("debugging: {max_iterations: 2}\nseed: 7\n")
    config = load_config(tmp_path / "c.yaml", ["debugging.max_iterations=4", "debugging.sampling.temperature=0"])
    assert (config.debugging.max_iterations, config.debugging.sampling.temperature, config.seed) == (4, 0, 7)


def test_evaluation_stays_greedy_when_only_its_length_is_set() -> None:
    config = load_config(None, ["evaluation.sampling.max_tokens=192"])
    assert (config.evaluation.sampling.temperature, config.evaluation.sampling.max_tokens) == (0.0, 192)
    assert config.debugging.sampling.temperature == 0.8


def test_numbers_in_scientific_notation_are_numbers() -> None:
    assert load_config(None, ["training.learning_rate=1e-5"]).training["learning_rate"] == 1e-5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("debuging.max_iterations=1", "unknown key debuging; did you mean debugging?"),
        ("debugging.max_iteration=1", "unknown key debugging.max_iteration; did you mean debugging.max_iterations?"),
        ("limits.cpus=1", "did you mean limits.cpu_s?"),
        ("pairing.zzz=1", "known: negatives, empty_removed"),
        ("debugging.max_iterations=many", "debugging.max_iterations: Input should be a valid integer"),
        ("pairing.negatives=some", "got 'some'"),
        ("debugging", "expected key=value"),
        ("seed.deep=1", "unknown key"),
        (
            "client.batch=true",
            "client.batch is a key of client.kind=openai, and client.kind is local; remove it or set client.kind",
        ),
        (
            "evaluation.client={kind: replay, device: cpu}",
            "evaluation.client.device is a key of evaluation.client.kind=local, and evaluation.client.kind is replay",
        ),
        ("client.batchsize=1", "unknown key client.batchsize; did you mean client.batch_size?"),
        ("client.base_ur=1", "did you mean client.base_url?"),
        ("client.zzz=1", "unknown key client.zzz; known: kind, model, batch_size, batch_tokens, device, dtype"),
        ("client.kind=opnai", "client.kind: Input should be 'local', 'openai' or 'replay', got 'opnai'"),
    ],
)
def test_bad_override_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert message in str(caught.value) or (override == "seed.deep=1" and "seed" in str(caught.value))


@pytest.mark.parametrize(
    ("override", "culprit"),
    [
        ("debuging.max_iterations=1", "--set debuging.max_iterations: unknown key debuging"),
        ("pairing.negatives=some", "--set pairing.negatives: "),
        ("client.batch=true", "--set client.batch: client.batch is a key of"),
        ("evaluation.k=[a]", "--set evaluation.k: evaluation.k.0: "),
    ],
)
def test_stumble_13_the_file_is_not_blamed_for_what_set_says(tmp_path: Path, override: str, culprit: str) -> None:
    (tmp_path / "config.yaml").write_text(dump_config(Config()))
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "config.yaml", ["seed=1", override])
    assert str(caught.value).startswith(culprit)
    assert "config.yaml" not in str(caught.value)


def test_the_file_is_blamed_for_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: x\n")
    with pytest.raises(ConfigError, match=r"config\.yaml: seed: "):
        load_config(tmp_path / "config.yaml", ["pairing.negatives=each"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sandbox.isolation=[1]", "sandbox.isolation: Input should be a valid string, got [1]"),
        ("importing.style=unitest", "expected one of assert, check, calls, unittest, pytest, doctest, stdio, auto"),
        ("importing.style=unitest", "did you mean unittest?"),
    ],
)
def test_stumble_13_no_word_of_a_library_is_left_in_a_message(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert message in str(caught.value)
    assert "literal" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["1,5", "1, 5", "[1, 5]"])
def test_bad_input_a_list_may_be_written_with_commas(text: str) -> None:
    found: object
    try:
        found = load_config(None, [f"evaluation.k={text}", "evaluation.samples=5"]).evaluation.k
    except ConfigError as error:
        found = str(error)
    assert found == (1, 5)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        pytest.param(["client.model=m"], LocalConfig(model="m"), id="local unless said"),
        pytest.param(["client.kind=openai", "client.concurrency=9"], OpenAIConfig(model="p", concurrency=9), id="kind"),
        pytest.param(["client.concurrency=9", "client.kind=openai"], OpenAIConfig(model="p", concurrency=9), id="last"),
        pytest.param(["client={kind: replay, model: r}"], ReplayConfig(model="r"), id="whole section"),
    ],
)
def test_another_kind_leaves_the_keys_of_the_one_before(
    tmp_path: Path, overrides: list[str], expected: ClientConfig
) -> None:
    (tmp_path / "c.yaml").write_text("client: {model: p, batch_size: 8}\n")
    kept = {"batch_size": 8} if isinstance(expected, LocalConfig) else {}
    assert load_config(tmp_path / "c.yaml", overrides).client == expected.model_copy(update=kept)


def test_a_key_set_for_the_other_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"client\.batch_size is a key of client\.kind=local"):
        load_config(None, ["client.batch_size=8", "client.kind=openai"])


def test_a_section_that_is_none_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(dump_config(Config()))
    config = load_config(
        tmp_path / "c.yaml", ["evaluation.client.kind=openai", "judge_client.model=m", "limits.cpu_s=3"]
    )
    assert config.evaluation.client == OpenAIConfig()
    assert config.judge_client == LocalConfig(model="m")
    with pytest.raises(ConfigError, match=r"--set seed\.x=1: seed is a value, not a section"):
        load_config(tmp_path / "c.yaml", ["seed.x=1"])


EARLIER = """client: {kind: local, model: m, batch_size: 8, device: auto, base_url: https://api.openai.com/v1,
  batch: false, api_key_env: OPENAI_API_KEY, extra_body: {}, omit: [], serve: null, serve_start_s: SERVE_START}
evaluation:
  client: {kind: openai, model: e, batch_size: 64, device: auto, batch: false}
judge_client: null
"""


def test_a_run_of_an_earlier_version_opens(tmp_path: Path) -> None:
    """It wrote the keys of all kinds into every section."""
    (tmp_path / "config.yaml").write_text(EARLIER.replace("SERVE_START", "900.0"))
    config = load_config(tmp_path / "config.yaml", of_run=True)
    assert config.client == LocalConfig(model="m", batch_size=8)
    assert config.evaluation.client == OpenAIConfig(model="e")
    config = load_config(tmp_path / "config.yaml", ["client.kind=openai"], of_run=True)
    assert config.client == OpenAIConfig(model="m")


@pytest.mark.parametrize(("value", "of_run"), [("900.0", False), ("5.0", True)], ids=["of a user's", "that was set"])
def test_a_key_of_another_kind_in_a_file(tmp_path: Path, value: str, of_run: bool) -> None:
    (tmp_path / "config.yaml").write_text(EARLIER.replace("SERVE_START", value))
    with pytest.raises(ConfigError, match=r"client\.serve_start_s is a key of client\.kind=openai"):
        load_config(tmp_path / "config.yaml", of_run=of_run)


def test_what_may_be_a_secret_is_not_shown() -> None:
    for override in (
        "client.base_url=sk-1",
        "client.base_url=[sk-1]",
        "client.base_url={sk-1: 1}",
        "client.api_key_env=sk-1",
    ):
        with pytest.raises(ConfigError, match="not shown") as caught:
            load_config(None, ["client.kind=openai", override])
        assert "sk-1" not in str(caught.value)


def test_a_client_without_a_price_cannot_be_made() -> None:
    class Unpriced(ClientConfig):
        kind: Literal["unpriced"] = "unpriced"
        at_a_time: ClassVar[int] = 1  # type: ignore[misc]

        @contextmanager
        def open(self, folder: Path) -> Iterator[Client]:
            raise AssertionError

    with pytest.raises(TypeError, match="abstract method price"):
        Unpriced()
    with pytest.raises(TypeError, match="abstract method price"):
        Unpriced.model_validate({"model": "m"})


def test_yaml_may_still_merge(tmp_path: Path) -> None:
    """A merged key that is given anew is no key that stands twice, however often the mapping is used."""
    text = (
        "client: &a {kind: local, model: x}\njudge_client: &b {<<: *a, model: y}\nrepair_client: {<<: *b, model: z}\n"
    )
    (tmp_path / "c.yaml").write_text(text)
    config = load_config(tmp_path / "c.yaml")
    clients = (config.client, config.judge_client, config.repair_client)
    assert [client and client.model_dump()["model"] for client in clients] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "expected a mapping"),
        ("a: [1\n", "not valid YAML"),
        ("seed: 1\nseed: 2\n", "seed stands here twice"),
        ("training:\n  beta: 1\n  alpha: 1\n  beta: 2\n", "beta stands here twice"),
        ("sandbox: {worker: 1}\n", "sandbox.workers?"),
    ],
)
def test_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml") as caught:
        load_config(path)
    assert message in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: can't read"):
        load_config(tmp_path / "absent.yaml")


def test_every_field_is_documented() -> None:
    def undocumented(section: type) -> list[str]:
        missing = []
        for name, field in section.model_fields.items():
            for inner in sections(field.annotation):
                missing += undocumented(inner)
            documented = field.description or name == "kind" or len(sections(field.annotation)) == 1
            if not documented and section.__name__ not in {"Limits", "Config"}:
                missing.append(f"{section.__name__}.{name}")
        return missing

    assert undocumented(Config) == []


@pytest.mark.parametrize(("key", "choices"), [("isolation", "auto, zygote_cgroup"), ("min_isolation", "zygote_cgroup")])
def test_a_rung_that_does_not_exist_is_refused(key: str, choices: str) -> None:
    with pytest.raises(ConfigError, match=rf"sandbox\.{key}: .*expected one of {choices}, zygote, .*, got 'gvisor'"):
        load_config(None, [f"sandbox.{key}=gvisor"])
