"""Which checkpoint becomes the model: each is scored as it is saved, by executing what it writes; the best is kept.

In: a scorer, checkpoint folder → metrics with `pass@1` (pipeline-level, for it runs a model and a sandbox). Out:
`validation.json` in the output folder, and TrainerState's best checkpoint, which transformers never deletes.
A run that was killed while scoring scores that checkpoint when it goes on. Of equal checkpoints the first is taken.
"""

# mypy: disable-error-code="misc,has-type,no-any-return"
# The base class comes from an untyped library.

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from iterpref.training.run_folder import checkpoints, write_json

VALIDATION_FILE = "validation.json"
METRIC = "pass@1"
# Folder of a saved checkpoint (tokenizer included) → metrics, `pass@1` among them.
Scorer = Callable[[Path], Mapping[str, float]]


class CheckpointSelection(TrainerCallback):
    """Scores checkpoints on the first process while the others wait; comes after the callback that certifies them."""

    def __init__(self, folder: Path, scorer: Scorer) -> None:
        self._folder = folder
        self._scorer = scorer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take up what an earlier process scored, as far as this one goes on from there."""
        if state.is_world_process_zero:
            known = read_scores(self._folder)
            kept = {step: score for step, score in known.items() if step <= state.global_step}
            if kept != known:
                self._write(kept)
        self._score(state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._score(state)

    def _score(self, state: Any) -> None:
        """Score the checkpoint of the present step, if there is one without a score; agree on the best one."""
        there = checkpoints(self._folder)
        if state.is_world_process_zero:
            scores = read_scores(self._folder)
            if state.global_step in there and state.global_step not in scores:
                metrics = dict(self._scorer(there[state.global_step]))
                self._write({**scores, state.global_step: metrics})
                state.log_history.append(
                    {"step": state.global_step, **{f"validation_{k}": v for k, v in metrics.items()}}
                )
        PartialState().wait_for_everyone()
        best = best_step(self._folder)
        if best is not None:
            state.best_global_step = best
            state.best_metric = read_scores(self._folder)[best][METRIC]
            state.best_model_checkpoint = str(there[best])

    def _write(self, scores: Mapping[int, Mapping[str, float]]) -> None:
        write_json(self._folder / VALIDATION_FILE, {str(step): dict(score) for step, score in scores.items()})


def read_scores(folder: Path) -> dict[int, dict[str, float]]:
    """Step → metrics of the checkpoints scored so far."""
    path = folder / VALIDATION_FILE
    return {int(k): v for k, v in json.loads(path.read_text()).items()} if path.is_file() else {}


def best_step(folder: Path) -> int | None:
    """The step with the highest pass@1 among the checkpoints that are still there; the first of equals."""
    there = checkpoints(folder)
    scores = {step: score[METRIC] for step, score in sorted(read_scores(folder).items()) if step in there}
    return max(scores, key=lambda step: scores[step]) if scores else None
