"""`iterpref`, run by `accelerate launch`, where FSDP2 shards on a CPU, too. A program of test_sharded_launch.py.

accelerate reads a file that asks for FSDP on a machine without a GPU, and then replicates the model, because it takes
up FSDP only where it found an accelerator. Here it takes it up for gloo; all that follows is its own code, TRL's,
transformers' and ours. `SHARDS`: a folder that gets what each process holds of policy and reference in the first step.
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
from iterpref.training.trainer import FocalDPOTrainer


def shard_on_cpu() -> None:
    made = AcceleratorState.__init__

    def make(state: Any, *args: Any, fsdp_plugin: Any = None, **kwargs: Any) -> None:
        made(state, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None and state.distributed_type == DistributedType.MULTI_CPU:
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = fsdp_plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = make


def held(model: Any) -> list[int] | None:
    """How many numbers this process holds of a model, and how many it has in all. What was gathered for a pass and is
    kept until the next is no DTensor meanwhile, and counts whole."""
    if model is None:
        return None
    tensors = list(model.parameters())
    own = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    return [sum(t.numel() for t in own), sum(t.numel() for t in tensors)]


def note_shards(folder: Path) -> None:
    step = FocalDPOTrainer.training_step

    def noted(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        loss = step(trainer, *args, **kwargs)
        place = folder / f"{PartialState().process_index}.json"
        if not place.exists():
            found = {"policy": held(trainer.model), "reference": held(trainer.ref_model), "trunk": trainer.trunk_mode}
            place.write_text(json.dumps(found))
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
    shard_on_cpu()
    if "SHARDS" in os.environ:
        note_shards(Path(os.environ["SHARDS"]))
    if "KILL_AT" in os.environ:
        die_behind(int(os.environ["KILL_AT"]))
    sys.argv[0] = "iterpref"
    main()
