"""The coder that ships: it loads like any transformers model, fits in a wheel, and writes programs."""

import json
from pathlib import Path

import pytest

from iterpref.errors import ClientError
from iterpref.playground import coder
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import extract_program, parses

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(coder_path())


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return transformers.AutoModelForCausalLM.from_pretrained(coder_path(), dtype=torch.float32).eval()


def test_the_folder_is_complete_and_small() -> None:
    files = {path.name for path in coder_path().iterdir()}
    configs = {"config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"}
    assert files >= configs | {"model.safetensors", "pretraining_log.json"}
    assert sum(path.stat().st_size for path in coder_path().iterdir()) <= 8 * 2**20
    assert json.loads((coder_path() / "generation_config.json").read_text())["do_sample"] is True
    assert json.loads((coder_path() / "config.json").read_text())["dtype"] == "bfloat16"


def test_the_log_says_how_the_coder_was_made(model) -> None:
    log = json.loads((coder_path() / "pretraining_log.json").read_text())
    assert log["settings"]["seed"] == 0
    assert log["parameters"] == sum(p.numel() for p in model.parameters())
    assert log["loss"][-1]["loss"] < log["loss"][0]["loss"]
    assert log["seconds"] < 3600


def test_a_missing_model_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coder, "_FOLDER", tmp_path)
    with pytest.raises(ClientError, match=r"python -m iterpref\.playground\.pretrain"):
        coder_path()


def test_tokens_cross_line_ends(tokenizer) -> None:
    pieces = [tokenizer.decode([i]) for i in range(len(tokenizer))]
    assert sum("\n" in piece.strip("\n ") or piece.endswith(("\n    ", "\n")) for piece in pieces) > 20
    program = "def solve(xs):\n    xs = [x * 2 for x in xs]\n    n = sum(xs)\n    return n"
    offsets = tokenizer(program, return_offsets_mapping=True)["offset_mapping"]
    crossing = [piece for a, b in offsets if "\n" in (piece := program[a:b]) and piece.rstrip() and piece[-1] != "\n"]
    assert crossing, "no token covers the end of one line and the start of the next"


TEXTS = ["def solve(xs):\n\treturn xs", "naïve 東京 🐍", "x" * 50, " \n\n  ", "12345"]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_survives_the_tokenizer(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_chat_template_renders_a_repair(tokenizer) -> None:
    turns = [
        {"role": "user", "content": "Write it."},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "Fix it."},
    ]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<user>Write it.<assistant>no<end><user>Fix it.<assistant>"
    whole = [*turns, {"role": "assistant", "content": "yes"}]
    # a prompt is a prefix of the whole, as trainers need it
    assert tokenizer.apply_chat_template(whole, tokenize=False) == text + "yes<end>"
    assert tokenizer.eos_token == "<end>"


def test_greedy_decoding_writes_programs(model, tokenizer) -> None:
    tasks = playground_tasks("held_out", 24, seed=3)
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": task.prompt}], tokenize=False, add_generation_prompt=True
        )
        for task in tasks
    ]
    encoded = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        output = model.generate(**encoded, max_new_tokens=160, do_sample=False)
    replies = tokenizer.batch_decode(output[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
    programs = [extract_program(reply, "solve") for reply in replies]
    assert sum(bool(p) and parses(p) for p in programs) >= 23
    assert len(set(programs)) >= 20
