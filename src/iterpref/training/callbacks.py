"""What happens beside the training loop: checkpoints are certified complete, and progress is told to the caller."""

# mypy: disable-error-code="misc,has-type,no-any-return"
# The base class comes from an untyped library.

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from iterpref.training.run_folder import certify

# (steps done, steps in all, the metrics logged last)
OnProgress = Callable[[int, int, Mapping[str, float]], None]


class CheckpointCertifier(TrainerCallback):
    """Marks a checkpoint as complete once all processes have written their part of it."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        PartialState().wait_for_everyone()
        folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            certify(folder)


class ProgressReporter(TrainerCallback):
    """Calls `on_progress` at the start, after every optimizer step and after every log, on the first process."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._latest: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(state)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **kwargs: Any
    ) -> None:
        self._latest = {k: float(v) for k, v in (logs or {}).items() if isinstance(v, int | float)}
        self._report(state)

    def _report(self, state: Any) -> None:
        if state.is_world_process_zero:
            self._on_progress(state.global_step, state.max_steps, self._latest)
