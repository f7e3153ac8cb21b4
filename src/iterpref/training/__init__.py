"""Preference pairs + a model → a trained model.

A whole run, resumed where it was cut short and not repeated when it is finished:

    from iterpref.training import train

    summary = train("runs/a/pairs", "path/to/model", "out", {"method": "target_dpo", "max_steps": 10})

Or TRL's DPOTrainer with a focal mask, for a training loop of your own:

    from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs

    args = FocalDPOConfig(output_dir="out-2", method="target_dpo", max_steps=10)
    trainer = FocalDPOTrainer("path/to/model", args=args, train_dataset=read_pairs("runs/a/pairs"))
    trainer.train()

`METHODS` says what can be trained, and is where a method is added. What is not named in `__all__` is private.
Importing this package loads no torch: names that need it are loaded when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from iterpref.training.methods import METHODS, Method
from iterpref.training.train import TrainSummary, train

if TYPE_CHECKING:
    from iterpref.training.config import FocalDPOConfig
    from iterpref.training.pair_files import read_pairs
    from iterpref.training.trainer import FocalDPOTrainer

__all__ = ["METHODS", "FocalDPOConfig", "FocalDPOTrainer", "Method", "TrainSummary", "read_pairs", "train"]

_LOADED_LATER = {"FocalDPOConfig": "config", "FocalDPOTrainer": "trainer", "read_pairs": "pair_files"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _LOADED_LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_LOADED_LATER[name]}"), name)
