"""What happens beside the training loop: checkpoints are certified complete and scored, progress is told."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from iterpref.training import resuming
from iterpref.training.processes import alone, from_first, wait_for_all
from iterpref.training.resuming import METRIC, Scorer

# (steps done, steps in all, the metrics logged last)
OnProgress = Callable[[int, int, Mapping[str, float]], None]


class Beginning(TrainerCallback):
    """Calls `begin` on the first process when all is loaded and the first step is next; the others wait for it."""

    def __init__(self, begin: Callable[[Any, Any], None]) -> None:
        self._begin = begin

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._begin(model, state)
        wait_for_all()


class CheckpointCertifier(TrainerCallback):
    """Marks a checkpoint as complete once all processes have written their part of it."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait_for_all()
        folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            resuming.certify(folder)


class CheckpointSelection(TrainerCallback):
    """Scores checkpoints on the first process while the others wait; comes after the callback that certifies them.

    TrainerState's best checkpoint is the best scored one; transformers never deletes it.
    """

    def __init__(self, folder: Path, scorer: Scorer) -> None:
        self._folder = folder
        self._scorer = scorer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take up what an earlier process scored as far as this one goes on from, and what it was killed scoring."""
        if state.is_world_process_zero:
            known = resuming.read_scores(self._folder)
            kept = {step: score for step, score in known.items() if step <= state.global_step}
            if kept != known:
                resuming.write_scores(self._folder, kept)
        self.on_save(args, state, control)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score the checkpoint of the present step, if there is one without a score; agree on the best one."""
        there = resuming.checkpoints(self._folder)
        if state.is_world_process_zero:
            scores = resuming.read_scores(self._folder)
            if state.global_step in there and state.global_step not in scores:
                with alone():
                    metrics = dict(self._scorer(there[state.global_step]))
                resuming.write_scores(self._folder, {**scores, state.global_step: metrics})
                logged = {f"validation_{name}": value for name, value in metrics.items()}
                state.log_history.append({"step": state.global_step, **logged})
        best = from_first(self._best() if state.is_world_process_zero else None)
        if best is not None:
            state.best_global_step, state.best_metric, state.best_model_checkpoint = best

    def _best(self) -> tuple[int, float, str] | None:
        """Step, score and folder of the best checkpoint that is still there."""
        best = resuming.best_step(self._folder)
        if best is None:
            return None
        return best, resuming.read_scores(self._folder)[best][METRIC], str(resuming.checkpoints(self._folder)[best])


class ProgressReporter(TrainerCallback):
    """Calls `on_progress` at the start, after every optimizer step and after every log, on the first process."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._latest: dict[str, float] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._on_progress(state.global_step, state.max_steps, self._latest)

    on_train_begin = on_step_end

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **kwargs: Any
    ) -> None:
        self._latest = {k: float(v) for k, v in (logs or {}).items() if isinstance(v, int | float)}
        self.on_step_end(args, state, control)
