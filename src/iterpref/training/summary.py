"""What is told of a training when it has ended. Loads no torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from iterpref.records import Record
from iterpref.training.resuming import METRIC, read_scores

if TYPE_CHECKING:
    from iterpref.training.trainer import FocalDPOTrainer


class TrainSummary(Record):
    """What a training run did.

    `output_dir` holds the model, made by `method`. `pairs` were read, `trained_pairs` used, `dropped` counts the rest
    by reason, `truncated` those cut to `max_length` tokens. `steps` of the optimizer, `epochs` over the pairs, the mean
    `train_loss`; `seconds` of wall time. `resumed_step` is the checkpoint it went on from; `repeated` says that the
    folder held the finished model already. `metrics` are the last values logged. `selected_step` is the checkpoint that
    became the model, `None` if it is what training ended with because nothing was to be selected; `validation` has each
    checkpoint's pass@1, by step.
    """

    output_dir: str
    method: str
    pairs: int
    trained_pairs: int
    dropped: dict[str, int]
    truncated: int
    steps: int
    epochs: float
    train_loss: float
    metrics: dict[str, float]
    seconds: float
    resumed_step: int | None = None
    repeated: bool = False
    selected_step: int | None = None
    validation: dict[str, float] = Field(default_factory=dict)


def summarize(trainer: "FocalDPOTrainer", pairs: int, checkpoint: Path | None, seconds: float) -> TrainSummary:
    """`pairs`: so many were read; `checkpoint`: what it went on from; `seconds`: how long it took."""
    logged = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
    scores = read_scores(Path(trainer.args.output_dir))
    return TrainSummary(
        output_dir=str(trainer.args.output_dir),
        method=trainer.args.method,
        pairs=pairs,
        trained_pairs=len(trainer.train_dataset),
        dropped=trainer.dropped,
        truncated=trainer.truncated,
        steps=trainer.state.global_step,
        epochs=float(trainer.state.epoch or 0.0),
        train_loss=float(logged.get("train_loss", float("nan"))),
        metrics=logged,
        seconds=round(seconds, 2),
        resumed_step=int(checkpoint.name.split("-")[-1]) if checkpoint else None,
        selected_step=trainer.state.best_global_step,
        validation={str(step): score[METRIC] for step, score in scores.items()},
    )
