"""What stands in a trained model's README.md: what it was made of, by which method, and how to load it."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iterpref.training.trainer import FocalDPOTrainer

PAPER = "https://arxiv.org/abs/2503.02783"
_KEYS = ("method", "beta", "alpha", "learning_rate", "num_train_epochs", "max_length", "focus", "outside_weight")


def model_card(trainer: "FocalDPOTrainer") -> str:
    """Markdown with the hub's front matter."""
    args, base = trainer.args, str(trainer.accelerator.unwrap_model(trainer.model).config._name_or_path)
    named = f"base_model: {base}\n" if base and not Path(base).is_dir() else ""  # the hub knows no folders of ours
    name = base.rstrip("/").rsplit("/", 1)[-1]
    settings = "\n".join(f"- `{key}`: {getattr(args, key)}" for key in _KEYS if getattr(args, key, None) is not None)
    return f"""\
---
library_name: transformers
{named}tags: [trl, dpo, focal, code]
---

# {name}, trained by {args.method}

{name} after {trainer.state.global_step} steps of `{args.method}` on {len(trainer.train_dataset):,} preference pairs: a
program that passes its tests, and one that fails them, of which focal methods penalise the wrong lines alone
([arXiv:2503.02783]({PAPER})). Made by iterpref {version("iterpref")}; `training_log.json` has every step.

{settings}

The licence is that of the base model and of the pairs' tasks; iterpref adds none. What the model scores is not said
here; `iterpref evaluate` measures it.
"""
