"""Recipes load, hold no secret, and cost nothing unless they say so."""

from pathlib import Path

import pytest
import yaml

from iterpref.config.load import dump_config, load_config, parse_config

RECIPES = Path(__file__).parent.parent / "recipes"
# Ours; those of accelerate are read in training/test_dry_run.py.
OURS = sorted(path for path in RECIPES.rglob("*.yaml") if path.parent.name != "accelerate")
# Those that ask a hosted model, as they say in their first lines.
COST_MONEY = {"teacher", "teacher_batch", "on_policy"}
PAPER = {"learning_rate": 1e-5, "lr_scheduler_type": "cosine", "warmup_steps": 0.03, "max_length": 2048}


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_a_recipe_loads_and_holds_no_secret(path: Path) -> None:
    config = load_config(path)
    assert parse_config(yaml.safe_load(dump_config(config))) == config
    assert "sk-" not in path.read_text()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_stumble_13_a_recipe_spends_nothing_unless_it_says_so(path: Path) -> None:
    config = load_config(path)
    clients = [config.client, config.repair_client, config.judge_client]
    hosted = [c for c in clients if c is not None and c.kind == "openai" and not c.serve]
    if path.stem in COST_MONEY:
        assert hosted
        assert config.budget.max_budget_usd is not None
        assert all(client.prompt_usd_per_million for client in hosted)
    else:
        assert hosted == []


@pytest.mark.parametrize("name", ["training/paper", "pairs/own_pairs"])
def test_stumble_13_the_paper_s_training_is_a_recipe(name: str) -> None:
    path = RECIPES / f"{name}.yaml"
    section = load_config(path).training if path.is_file() else {}
    assert section.items() >= PAPER.items()
    assert section["per_device_train_batch_size"] * section["gradient_accumulation_steps"] == 128


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_training_keys_of_recipes_exist(path: Path) -> None:
    from iterpref.training import check_keys, known_keys

    assert "learning_rate" in known_keys()
    check_keys(load_config(path).training, known_keys())
