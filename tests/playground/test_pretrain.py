"""Pretraining of any domain at any size; a minute's work made tiny, with the real model code."""

import json
from pathlib import Path

import pytest
from benchmarks.lab.objects import OBJECTS, objects_tasks
from benchmarks.lab.objects.pretrain import DEFAULTS

from iterpref.errors import ConfigError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from iterpref.playground.pretrain import main  # noqa: E402

FEW = ["--conversations", "24", "--puzzles", "8"]
SIZES = {
    "half a million": (["--hidden", "96", "--intermediate", "256"], 0.5),
    "the usual": ([], 1.65),
    "five million": (["--hidden", "288", "--layers", "5", "--heads", "6", "--intermediate", "768"], 5.2),
}


@pytest.mark.parametrize(("sizes", "millions"), SIZES.values(), ids=SIZES)
def test_a_coder_of_each_size_is_built_and_loads(tmp_path: Path, sizes: list[str], millions: float) -> None:
    main(["--output", str(tmp_path), "--seed", "3", *FEW, *sizes], domain=OBJECTS, defaults=DEFAULTS)
    log = json.loads((tmp_path / "pretraining_log.json").read_text())
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert log["parameters"] == model.num_parameters() == pytest.approx(millions * 1e6, rel=0.05)
    assert log["settings"]["seed"] == 3
    reference = objects_tasks("train", 1)[0].reference or ""
    assert tokenizer.decode(tokenizer(reference, add_special_tokens=False)["input_ids"]) == reference


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param(["--hidden", "90"], "hidden is 90, heads is 4", id="sizes that don't fit"),
        pytest.param(["--positions", "64"], r"positions is 64; the longest conversation has \d+", id="too short"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, wrong: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        main(["--output", str(tmp_path / "coder"), *FEW, *wrong], domain=OBJECTS, defaults=DEFAULTS)
    assert not (tmp_path / "coder").exists()
