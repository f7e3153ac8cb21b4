"""Preference pairs + a model → a trained model.

A whole run, resumed where it was cut short and not repeated when it is finished:

    from iterpref.training import train

    summary = train("runs/a/pairs", "path/to/model", "out", {"method": "target_dpo", "max_steps": 10})

Or TRL's DPOTrainer with a focal mask, for a training loop of your own:

    from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs

    args = FocalDPOConfig(output_dir="out-2", method="target_dpo", max_steps=10)
    trainer = FocalDPOTrainer("path/to/model", args=args, train_dataset=read_pairs("runs/a/pairs"))
    trainer.train()

Its dataset may also be plain rows of prompt, chosen and rejected, in TRL's formats; `focal_dataset` finds their spans:

    from datasets import load_dataset
    trainer = FocalDPOTrainer(
        "path/to/model",
        args=args,
        train_dataset=load_dataset("json", data_files="pairs.jsonl", split="train"),
    )

What is not named in `__all__` is private. Names that need torch are loaded when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from iterpref.packages import FOR_TRAINING, need_packages
from iterpref.training.keys import check_keys, known_keys
from iterpref.training.log_probs import token_log_probs
from iterpref.training.methods import METHODS, Method
from iterpref.training.reading import read_pairs
from iterpref.training.resuming import Scorer, read_selection
from iterpref.training.shown import ShownPair, ShownSettings, ShownToken, shown_pair
from iterpref.training.standard import focal_dataset
from iterpref.training.summary import TrainSummary
from iterpref.training.train import train
from iterpref.training.train_run import plan_run, train_run

if TYPE_CHECKING:
    from iterpref.training.config import FocalDPOConfig
    from iterpref.training.trainer import FocalDPOTrainer

__all__ = ["METHODS", "FocalDPOConfig", "FocalDPOTrainer", "Method", "Scorer", "ShownPair", "ShownSettings",
           "ShownToken", "TrainSummary", "check_keys", "focal_dataset", "known_keys", "plan_run", "read_pairs",
           "read_selection", "shown_pair", "token_log_probs", "train", "train_run"]  # fmt: skip

_LOADED_LATER = {"FocalDPOConfig": "config", "FocalDPOTrainer": "trainer"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LOADED_LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        need_packages(name, *FOR_TRAINING)
        return getattr(import_module(f"{__name__}.{_LOADED_LATER[name]}"), name)
