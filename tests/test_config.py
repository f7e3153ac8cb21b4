from pathlib import Path

import pytest

from iterpref.config import Config, dump_config, load_config
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
    ],
)
def test_bad_override_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert message in str(caught.value) or (override == "seed.deep=1" and "seed" in str(caught.value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "expected a mapping"),
        ("a: [1\n", "not valid YAML"),
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
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                missing += undocumented(field.annotation)
            elif not field.description and section.__name__ not in {"Limits", "Config"}:
                missing.append(f"{section.__name__}.{name}")
        return missing

    assert undocumented(Config) == []
