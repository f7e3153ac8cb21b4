"""`iterpref`, run by `accelerate launch`, where engines shard on a CPU, too. A program of launching.py.

accelerate reads a file that asks for FSDP on a machine without a GPU, and then replicates the model, because it takes
up FSDP only where it found an accelerator. Here it takes it up for gloo; all that follows is its own code, TRL's,
transformers' and ours. DeepSpeed it takes up, but notes it in one of two places; and DeepSpeed would compile
collectives of its own for the processes of one machine, for which torch's do.
`SHARDS`: a folder that gets what each process holds of policy, reference and optimizer's states in the last step.
`KILL_AT`: the step behind whose checkpoint every process kills itself.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, DistributedType, PartialState
from torch.distributed.tensor import DTensor

from iterpref.cli import main
from iterpref.training.callbacks import CheckpointCertifier
from iterpref.training.sharding import part_of, whole_numbers
from iterpref.training.trainer import FocalDPOTrainer


def engines_on_cpu() -> None:
    made = AcceleratorState.__init__

    def make(state: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        made(state, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and state.distributed_type == DistributedType.MULTI_CPU:
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = fsdp_plugin
        PartialState._shared_state["distributed_type"] = state.distributed_type

    AcceleratorState.__init__ = make
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def held(model: Any) -> list[int] | None:
    """How many numbers this process holds of a model, and how many it has in all. What was gathered for a pass and is
    kept until the next counts whole: it is no DTensor meanwhile, or isn't empty beside ZeRO-3's part of it."""
    if model is None:
        return None
    tensors = list(model.parameters())
    gathered = [t for t in tensors if part_of(t) is not t and not isinstance(t, DTensor)]
    own = sum(part_of(t).numel() for t in tensors) + sum(t.numel() for t in gathered)
    return [own, sum(map(whole_numbers, tensors))]


def moments(trainer: Any) -> list[int]:
    """The same of the optimizer's first moments."""
    optimizer = trainer.optimizer
    while hasattr(optimizer, "optimizer"):  # accelerate's and DeepSpeed's wrappers
        optimizer = optimizer.optimizer
    own = sum(part_of(state["exp_avg"]).numel() for state in optimizer.state.values())
    return [own, sum(whole_numbers(t) for t in trainer.model.parameters() if t.requires_grad)]


def note_shards(folder: Path) -> None:
    step = FocalDPOTrainer.training_step

    def noted(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        loss = step(trainer, *args, **kwargs)
        found = {"policy": held(trainer.model), "reference": held(trainer.ref_model), "trunk": trainer.trunk_mode}
        place = folder / f"{PartialState().process_index}.json"
        place.write_text(json.dumps(found | {"moments": moments(trainer)}))
        return loss

    FocalDPOTrainer.training_step = noted


def die_behind(step: int) -> None:
    certify = CheckpointCertifier.on_save

    def certify_and_die(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        certify(self, args, state, control, **kwargs)
        PartialState().wait_for_everyone()
        if state.global_step >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    CheckpointCertifier.on_save = certify_and_die


if __name__ == "__main__":
    engines_on_cpu()
    if "SHARDS" in os.environ:
        note_shards(Path(os.environ["SHARDS"]))
    if "KILL_AT" in os.environ:
        die_behind(int(os.environ["KILL_AT"]))
    sys.argv[0] = "iterpref"
    main()
