from pathlib import Path

import pytest

from iterpref.config.load import dump_config, load_config, parse_config

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("codeflow/*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_loads_and_holds_no_secret(path: Path) -> None:
    import yaml

    config = load_config(path)
    assert parse_config(yaml.safe_load(dump_config(config))) == config
    assert config.client.kind == "openai"
    assert "sk-" not in path.read_text()
    assert config.budget.max_budget_usd is not None or not config.client.prompt_usd_per_million
