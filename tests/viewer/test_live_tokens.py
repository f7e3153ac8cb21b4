"""The token overlay is the training's own mask, for several tokenizers, methods and lengths."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from live_runs import reader
from live_tokenizers import TOKENIZERS, playground

from iterpref.config import PairingConfig
from iterpref.pairing import make_pairs, write_dataset
from iterpref.playground.coder import coder_path
from iterpref.records import PreferencePair
from iterpref.store import Store
from iterpref.training import ShownSettings, read_pairs, shown_pair, token_log_probs

Fill = Callable[[], Store]


def kept(store: Store) -> list[PreferencePair]:
    pairs = [pair for pair in make_pairs(store, PairingConfig(negatives="each")) if pair.kept]
    odd = pairs[0].model_copy(update={"pair_id": "odd", "chosen": pairs[0].chosen + "\né 中 👩‍💻  \n"})
    return [*pairs, odd]


# What decides marks and weights.
MARKED: dict[str, dict[str, Any]] = {
    **{method: {"method": method} for method in ("target_rpo", "symmetric", "diff_augmentation", "dpo", "simpo")},
    "soft": {"method": "target_dpo", "outside_weight": 0.3},
    "heavier": {"method": "dpo", "added_weight": 2.0},
    "words": {"method": "target_rpo", "focus": "tokens"},
}


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize("training", MARKED.values(), ids=MARKED)
def test_the_overlay_is_the_mask_that_is_trained_on(
    fill: Fill, tmp_path: Path, make: Any, training: dict[str, Any]
) -> None:
    from iterpref.training import FocalDPOConfig
    from iterpref.training.batching import FocalPreferenceCollator
    from iterpref.training.pairs import tokenize_pairs

    pairs, tokenizer = kept(fill()), make()
    write_dataset(tmp_path / "pairs", pairs, lambda: "")
    for max_length in (1024, 110):
        given = {**training, "seed": 3, "max_length": max_length, "empty_removed": "full"}
        args = FocalDPOConfig(output_dir=str(tmp_path), bf16=False, empty_added="full", **given)
        rows = tokenize_pairs(read_pairs(tmp_path / "pairs"), tokenizer, args).dataset
        assert len(rows) == len(pairs)
        collate = FocalPreferenceCollator(tokenizer.pad_token_id, max_length=max_length, trunk=False)
        for pair, row in zip(pairs, rows, strict=True):
            batch = collate.torch_call([row])
            shown = shown_pair(pair, tokenizer, ShownSettings.of({**given, "empty_added": "full"}))
            for at, (side, loss) in enumerate((("chosen", "rewarded"), ("rejected", "penalised"))):
                tokens = getattr(shown, side)
                assert [t.id for t in tokens] == [*row["prompt_ids"], *row[f"{side}_ids"]]
                mask = [int(t.part == loss) for t in tokens if t.part != "cut"]
                trained = batch["completion_mask"][at].tolist()
                weights = [t.weight for t in tokens if t.part != "cut"]
                assert [weight > 0 for weight in weights] == [mark > 0 for mark in mask]
                assert weights == pytest.approx(([0.0] * len(row["prompt_ids"]) + row[f"{side}_mask"])[: len(weights)])
                assert mask[: len(trained)] == trained[: len(mask)] and not any(
                    mask[len(trained) :] + trained[len(mask) :]
                )
                assert shown.ids(side)[: sum(batch["attention_mask"][at])] == [
                    id_
                    for id_, seen in zip(batch["input_ids"][at].tolist(), batch["attention_mask"][at], strict=True)
                    if seen
                ]


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
def test_the_tokens_read_as_the_text(fill: Fill, make: Any) -> None:
    tokenizer = make()
    for pair in kept(fill()):
        shown = shown_pair(pair, tokenizer, ShownSettings())
        for side in ("chosen", "rejected"):
            text = "".join(t.text for t in getattr(shown, side) if not t.text.startswith("<0x") and len(t.text) < 200)
            for line in getattr(pair, side).split("\n"):
                assert line.strip().encode("ascii", "ignore") in text.encode("ascii", "ignore")


def test_the_defaults_are_those_of_training(tmp_path: Path) -> None:
    from iterpref.training import FocalDPOConfig

    args = FocalDPOConfig(output_dir=str(tmp_path), bf16=False)
    ours = ShownSettings()
    theirs = {name: getattr(args, name) for name in vars(ours)} | {"seed": 0}
    assert vars(ours) == theirs


def test_sft_shows_one_side(fill: Fill) -> None:
    pair, tokenizer = kept(fill())[0], playground()
    shown = shown_pair(pair, tokenizer, ShownSettings(method="sft", sft_on="rejected"))
    assert shown.rejected == [] and {t.part for t in shown.chosen} == {"prompt", "rewarded"}
    assert "first = xs[0]" in "".join(t.text for t in shown.chosen)


def test_log_probabilities_are_the_model_s() -> None:
    import torch
    from transformers import AutoModelForCausalLM

    ids = playground()("def solve(xs):\n    return max(xs)")["input_ids"]
    network = AutoModelForCausalLM.from_pretrained(str(coder_path()), dtype=torch.float32)
    with torch.no_grad():
        loss = network(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss
    [found] = token_log_probs(str(coder_path()), [ids])
    assert found[0] is None and len(found) == len(ids)
    assert sum(value for value in found[1:] if value is not None) / (len(ids) - 1) == pytest.approx(
        -float(loss), abs=1e-5
    )


def test_the_page_shows_tokens_before_and_after(fill: Fill) -> None:
    store = fill()
    model = store.folder / "model"
    shutil.copytree(coder_path(), model, dirs_exist_ok=True)
    noted = {"settings": {"seed": 0, "model": "playground", "training": {"method": "symmetric"}}, "changed": {}}
    (model / "training_settings.json").write_text(json.dumps(noted))
    name = next(store.pairs(kept=True)).pair_id
    asked = reader(store.folder)
    assert "tok penalised" not in asked.get("/pair", params={"id": name}).text
    page = asked.get("/pair", params={"id": name, "tokenizer": "training model", "likely": "true"}).text
    assert "tok penalised" in page and "tok rewarded s0" in page and "symmetric" in page
    assert "+0.00" in page  # the same model before and after
    refused = asked.get("/pair", params={"id": name, "tokenizer": "/etc"}).text
    (model / "training_settings.json").write_text("{")
    assert "training_settings.json: can&#39;t be read" in asked.get("/pair", params={"id": name}).text
    assert "/etc: not among the tokenizers of this viewer" in refused
