"""What trainings by TRL's own trainers share: arguments, the model, and an end that leaves a whole model or none."""

from pathlib import Path
from typing import Any

from iterpref.training.contexts import quiet
from iterpref.training.divergence import check_parameters

from .arm import new_model

__all__ = ["load", "plain_arguments", "quiet", "train_and_save"]


def plain_arguments(output: Path, seed: int) -> dict[str, Any]:
    """For a small model: float32, all in memory, nothing written, every step logged to the trainer's state."""
    import torch

    return {
        "output_dir": str(output / "trainer"),
        "seed": seed,
        "gradient_checkpointing": False,
        "bf16": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
    }


def load(model: Path) -> tuple[Any, Any]:
    """Network and tokenizer; float32, for in bfloat16 a backward pass takes five times as long on a CPU."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(model, dtype="float32"), AutoTokenizer.from_pretrained(model)


def train_and_save(trainer: Any, output: Path) -> int:
    """Train to the end and put the model into `output/model`; the steps that were made.

    Raises:
        TrainingError: Parameters are no longer finite.
    """
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.train()
    check_parameters(trainer.model)
    with new_model(output) as place:
        trainer.save_model(str(place))
    return int(trainer.state.global_step)
