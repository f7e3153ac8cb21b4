"""IterPref: teach code LLMs from their own debugging (arXiv:2503.02783).

Start with `pipeline.py`; `records/` holds the nouns. From Python, most need a few names only:

    from iterpref import FocalDPOConfig, FocalDPOTrainer

    trainer = FocalDPOTrainer("path/to/model", args=FocalDPOConfig(output_dir="out"), train_dataset=preference_rows)
    trainer.train()

Each is loaded when it is first asked for: `import iterpref` imports nothing else of it, torch least of all.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterpref.errors import IterPrefError
    from iterpref.pairing import changed_spans
    from iterpref.rewards import CodeReward
    from iterpref.sandbox import Execution, Job, Limits, Sandbox, TestFile
    from iterpref.training import METHODS, FocalDPOConfig, FocalDPOTrainer, focal_dataset, read_pairs, train

__all__ = ["METHODS", "CodeReward", "Execution", "FocalDPOConfig", "FocalDPOTrainer", "IterPrefError", "Job", "Limits",
           "Sandbox", "TestFile", "changed_spans", "focal_dataset", "read_pairs", "train"]  # fmt: skip
__version__ = "0.1.0.dev0"

_FROM = {
    "errors": ("IterPrefError",),
    "pairing": ("changed_spans",),
    "rewards": ("CodeReward",),
    "sandbox": ("Execution", "Job", "Limits", "Sandbox", "TestFile"),
    "training": ("METHODS", "FocalDPOConfig", "FocalDPOTrainer", "focal_dataset", "read_pairs", "train"),
}
_MODULE = {name: module for module, names in _FROM.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)
