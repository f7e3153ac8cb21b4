"""IterPref: teach code LLMs from their own debugging (arXiv:2503.02783).

Start with `pipeline.py`; `records/` holds the nouns. From Python, most need a few names only (docs/python.md):

    from iterpref import FocalDPOConfig, FocalDPOTrainer

    trainer = FocalDPOTrainer("path/to/model", args=FocalDPOConfig(output_dir="out"), train_dataset=preference_rows)
    trainer.train()

Each is loaded when it is first asked for: `import iterpref` imports nothing else of it, torch least of all. Versions
promise something about the names in `__all__` and the functions of `iterpref.pipeline`, and about nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterpref.analysis import Comparison, compare
    from iterpref.debugging.debug_with import debug_with
    from iterpref.errors import IterPrefError
    from iterpref.evaluation import score_samples
    from iterpref.opened_run import OpenedRun
    from iterpref.opening import open_run
    from iterpref.pairing import ChangedSpans, changed_spans, focal_pairs
    from iterpref.records import (
        Attempt,
        Execution,
        Limits,
        Message,
        PreferencePair,
        Result,
        Sample,
        Span,
        Task,
        TestFile,
        Trajectory,
    )
    from iterpref.rewards import CodeReward
    from iterpref.sandbox import Job, Sandbox
    from iterpref.store import Store
    from iterpref.training import (
        METHODS,
        FocalDPOConfig,
        FocalDPOTrainer,
        TrainSummary,
        focal_dataset,
        read_pairs,
        train,
    )

__all__ = ["METHODS", "Attempt", "ChangedSpans", "CodeReward", "Comparison", "Execution", "FocalDPOConfig",
           "FocalDPOTrainer", "IterPrefError", "Job", "Limits", "Message", "OpenedRun", "PreferencePair", "Result",
           "Sample", "Sandbox", "Span", "Store", "Task", "TestFile", "TrainSummary", "Trajectory", "changed_spans",
           "compare", "debug_with", "focal_dataset", "focal_pairs", "open_run", "read_pairs", "score_samples",
           "train"]  # fmt: skip
__version__ = "0.1.0"

_FROM = {
    "analysis": ("Comparison", "compare"),
    "debugging.debug_with": ("debug_with",),
    "errors": ("IterPrefError",),
    "evaluation": ("score_samples",),
    "opened_run": ("OpenedRun",),
    "opening": ("open_run",),
    "pairing": ("ChangedSpans", "changed_spans", "focal_pairs"),
    "records": ("Attempt", "Execution", "Limits", "Message", "PreferencePair", "Result", "Sample", "Span", "Task",
                "TestFile", "Trajectory"),
    "rewards": ("CodeReward",),
    "sandbox": ("Job", "Sandbox"),
    "store": ("Store",),
    "training": ("METHODS", "FocalDPOConfig", "FocalDPOTrainer", "TrainSummary", "focal_dataset", "read_pairs",
                 "train"),
}  # fmt: skip
_MODULE = {name: module for module, names in _FROM.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
