"""Plain preference rows, as TRL's own trainer takes them, in `FocalDPOTrainer`; and the package's front door."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset

import iterpref
from iterpref.config import PairingConfig
from iterpref.errors import RecordError
from iterpref.pairing import focal_pair
from iterpref.records import ImportedPair
from iterpref.training import FocalDPOConfig, FocalDPOTrainer

REJECTED = "```python\ndef f(xs):\n    total = 1\n    return total\n```"
CHOSEN = "```python\ndef f(xs):\n    total = 0\n    return total\n```"
WRONG = "    total = 1\n"
ASKED, ANSWERS = "Write f!\n", {"chosen": CHOSEN, "rejected": REJECTED}


def said(text, role="assistant"):
    return [{"role": role, "content": text}]


TEXT = {"prompt": ASKED, **ANSWERS}
FORMATS = {
    "text": TEXT,
    "text with other columns": {"score": 0.5, "pair_id": "mine", **TEXT},
    "messages": {"prompt": said(ASKED, "user"), "chosen": said(CHOSEN), "rejected": said(REJECTED)},
    "messages, the prompt inside": {side: said(ASKED, "user") + said(text) for side, text in ANSWERS.items()},
    "messages, the prompt as text too": {"prompt": ASKED}
    | {side: said(ASKED, "user") + said(text) for side, text in ANSWERS.items()},
    "as iterpref exports messages": {"prompt": said(ASKED, "user"), "chosen": said(CHOSEN), "rejected": said(REJECTED)}
    | {"pair_id": "a", "chosen_spans": [{"start": 21, "stop": 35}], "rejected_spans": [{"start": 21, "stop": 35}]},
}


@pytest.fixture
def trainer_of(tmp_path, workshop):
    """`trainer_of(rows)` → a trainer on the rows, read as TRL's users read them; or the error."""

    def build(*rows, chat=False, **settings):
        model, tokenizer = workshop(chat=chat)
        (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        dataset = load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=tmp_path)
        values = {"output_dir": str(tmp_path / "out"), "use_cpu": True, "report_to": "none", "max_steps": 1}
        args = FocalDPOConfig(**values, gradient_checkpointing=False, save_strategy="no", **settings)
        try:
            return FocalDPOTrainer(model, args=args, train_dataset=dataset, processing_class=tokenizer)
        except Exception as error:
            return error

    return build


@pytest.mark.parametrize("name", FORMATS)
def test_stumble_11_a_row_of_trl_is_trained_with_its_wrong_lines(trainer_of, workshop, name):
    chat = name not in ("text", "text with other columns")
    trainer = trainer_of(FORMATS[name], FORMATS[name], chat=chat)
    assert isinstance(trainer, FocalDPOTrainer), repr(trainer)
    row = trainer.train_dataset[0]
    focal = [i for i, m in zip(row["rejected_ids"], row["rejected_mask"], strict=True) if m]
    # Tokens of this tokenizer hold a newline with what stands around it, so they reach over both ends of the line.
    assert workshop(chat=chat)[1].decode(focal).replace(":\n", "").rstrip(" ") == WRONG
    assert all(row["chosen_mask"])
    assert trainer.train().global_step == 1


def test_stumble_11_the_spans_are_those_of_the_pairing_stage(trainer_of):
    """The same texts, imported and paired by the command line's code, give the same ids and masks."""
    pair = focal_pair(ImportedPair(pair_id="a", task_id="a", prompt=ASKED, **ANSWERS), PairingConfig())
    paired = trainer_of(pair.model_dump(mode="json"))
    plain = trainer_of(TEXT)
    assert isinstance(plain, FocalDPOTrainer), repr(plain)
    assert plain.train_dataset[0] == paired.train_dataset[0]


def test_stumble_11_plain_rows_are_evaluated_too(trainer_of):
    trainer = trainer_of(TEXT)
    assert isinstance(trainer, FocalDPOTrainer), repr(trainer)
    assert "eval_loss" in trainer.evaluate(Dataset.from_list([TEXT]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"question": "a", "answer": "b"},
            "no column chosen, rejected, only question, answer; expected prompt, chosen",
        ),
        (ANSWERS, "row 0: there is no prompt; expected prompt, chosen and rejected, each text or a list"),
        ({**TEXT, "rejected_spans": [{"start": 0, "stop": 1}]}, "no column chosen_spans, only "),
        ({**TEXT, "chosen": said("x", "user")}, "row 0: chosen ends with a message of the user"),
        ({**TEXT, "chosen": ""}, "row 0: chosen is empty"),
        ({**TEXT, "rejected": 3}, "row 0: rejected is int"),
        ({**TEXT, "tools": ["x"]}, "row 0: column tools can't be used with focal spans"),
        ({**FORMATS["messages, the prompt inside"], "prompt": "other"}, "are not the prompt column"),
    ],
)
def test_stumble_11_rows_that_are_no_pairs_are_named(trainer_of, row, message):
    error = trainer_of(row)
    assert isinstance(error, RecordError), repr(error)
    assert message in str(error)


def test_stumble_11_the_front_door_opens():
    offered = getattr(iterpref, "__all__", [])
    assert {"FocalDPOTrainer", "FocalDPOConfig", "focal_dataset", "read_pairs", "train", "Sandbox"} <= set(offered)
    assert iterpref.FocalDPOTrainer is FocalDPOTrainer
    assert all(getattr(iterpref, name) is not None for name in offered)
    assert not hasattr(iterpref, "no_such_name")


def test_stumble_11_type_checkers_see_the_real_classes(tmp_path):
    """Only what the names lead through is read, for reading all that it imports takes minutes."""
    (tmp_path / "user.py").write_text(
        "from iterpref import FocalDPOConfig, FocalDPOTrainer\n"
        "args = FocalDPOConfig(output_dir='out', method='dpo')\n"
        "reveal_type(args.method)\n"
        "reveal_type(FocalDPOTrainer('model', args=args, train_dataset=None))\n"
        "FocalDPOTrainer('model', args=3, train_dataset=None)\n"
    )
    read = ["user", "iterpref", "iterpref.training", "iterpref.training.trainer", "iterpref.training.config"]
    command = [sys.executable, "-m", "mypy", "--follow-imports=skip", f"--cache-dir={tmp_path}"]
    sources = {"MYPYPATH": str(Path(iterpref.__path__[0]).parent)}
    done = subprocess.run(
        [*command, *(part for name in read for part in ("-m", name))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **sources},
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("user.py")]
    assert 'user.py:3: note: Revealed type is "str"' in told, done.stdout + done.stderr
    assert any(line.startswith("user.py:4") and "iterpref.training.trainer.FocalDPOTrainer" in line for line in told), (
        told
    )
    assert any(line.startswith("user.py:5: error") and "FocalDPOConfig" in line for line in told), told
