"""A model sharded by FSDP2 over two processes (CPU, gloo): gradients through the layout are those of separate rows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from trl.trainer.utils import add_fused_lm_head

from iterpref.training.trunk.install import installed
from iterpref.training.trunk.layout import batch_layout

from .conftest import focal_loss, make_network, make_rows

PROCESSES = 2


def padded(seed: int) -> list[torch.Tensor]:
    """Ids, attention mask and loss mask of one process's batch, as TRL's collator makes them."""
    ids, loss = make_rows(2, seed=seed)
    width = max(map(len, ids))
    return [
        torch.tensor([row + [0] * (width - len(row)) for row in rows])
        for rows in (ids, [[1] * len(row) for row in ids], loss)
    ]


def backward(network: Any, seed: int, trunk: bool) -> None:
    """TRL's call of the model with its head, and the loss's gradient."""
    ids, attention, loss = padded(seed)
    call = {"input_ids": ids, "attention_mask": attention, "labels": ids.masked_fill(loss == 0, -100)}
    if not trunk:
        focal_loss(network(**call, fused_lm_head=True).log_probs).backward()
        return
    with installed([network], batch_layout(ids, attention, loss), "split"):
        focal_loss(network(**call, fused_lm_head=True).log_probs).backward()


def make(checkpointing: bool) -> Any:
    network = make_network("llama").float()
    add_fused_lm_head(network)
    if checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    return network


def run_process(rank: int, folder: Path, checkpointing: bool) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=PROCESSES)
    network = make(checkpointing)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    for layer in network.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(network, mesh=mesh)
    backward(network, rank, trunk=True)
    whole = {name: p.grad.full_tensor() for name, p in network.named_parameters()}
    sharded = all(p.to_local().numel() < p.numel() for p in network.parameters())
    if rank == 0:
        torch.save({"gradients": whole, "sharded": sharded}, folder / "gradients.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "checkpointing"])
def test_gradients_of_a_sharded_model(tmp_path, checkpointing):
    torch.multiprocessing.spawn(run_process, (tmp_path, checkpointing), nprocs=PROCESSES)
    found = torch.load(tmp_path / "gradients.pt")
    assert found["sharded"]
    network = make(checkpointing=False)
    for rank in range(PROCESSES):
        backward(network, rank, trunk=False)
    for name, parameter in network.named_parameters():
        expected = parameter.grad / PROCESSES
        error = (found["gradients"][name] - expected).norm() / expected.norm()
        assert error < 1e-5, name
