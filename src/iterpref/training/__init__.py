"""PreferencePair → checkpoint: `train.train` is the entry function; `FocalDPOTrainer` and `FocalDPOConfig` the library.

Importing this package loads no torch; the two classes are loaded when first asked for.
"""

from typing import Any

__all__ = ["FocalDPOConfig", "FocalDPOTrainer"]


def __getattr__(name: str) -> Any:
    if name == "FocalDPOConfig":
        from iterpref.training.config import FocalDPOConfig

        return FocalDPOConfig
    if name == "FocalDPOTrainer":
        from iterpref.training.trainer import FocalDPOTrainer

        return FocalDPOTrainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
