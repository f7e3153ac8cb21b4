"""Settings with which a trainer ends in seconds: a few tasks of the playground, two steps."""

from pathlib import Path
from typing import Any

from benchmarks.lab.trainers.runs import TRAINING, RunSettings

from iterpref.demo import CONFIG
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Task


def tiny_run(**training: Any) -> RunSettings:
    tiny = {"max_steps": 2, "per_device_train_batch_size": 4, "warmup_steps": 0, "train_sampling_strategy": "random"}
    return RunSettings(
        # hot, so that few tasks suffice for right and wrong draws of one
        debugging={"max_iterations": 2, "sampling": {"temperature": 1.5, "max_tokens": 96}},
        training={**TRAINING, **tiny, **training},
        sandbox={**CONFIG["sandbox"], "workers": 1},
    )


def tiny_tasks(count: int) -> list[Task]:
    return playground_tasks("train", count, seed=3)


def differs_from_the_coder(folder: Path) -> bool:
    """Whether a model that transformers loads has learned anything; an error if it can't be loaded."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoTokenizer.from_pretrained(folder)
    trained = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").state_dict()
    base = AutoModelForCausalLM.from_pretrained(coder_path(), dtype="float32").state_dict()
    assert trained.keys() == base.keys()
    return any(not torch.equal(trained[name], base[name]) for name in base)
