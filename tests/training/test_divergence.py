"""A training whose numbers are no longer finite ends with an error and leaves no model. It diverges by its rate."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from iterpref.errors import TrainingError
from iterpref.training.divergence import without_cudnn_attention
from iterpref.training.train import train

from .conftest import example_pairs, write_pairs

CONFIG = {
    "method": "target_dpo", "gradient_checkpointing": False, "use_cpu": True, "per_device_train_batch_size": 2,
    "max_grad_norm": 0, "lr_scheduler_type": "constant", "save_strategy": "no",
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"logging_steps": 1, "max_steps": 6}, "the gradient is nan at step 2"),
        ({"logging_steps": 50, "max_steps": 6}, "the loss is nan after step 2"),
        ({"logging_steps": 50, "max_steps": 1}, "is no longer finite at the end"),
    ],
)
def test_it_stops_and_leaves_no_model(tmp_path: Path, workshop, settings, said) -> None:
    pairs, model = write_pairs(tmp_path / "pairs", example_pairs(chat=True)), workshop(chat=True)[0]
    with pytest.raises(TrainingError, match=said):
        train(pairs, model, tmp_path / "out", {**CONFIG, **settings, "learning_rate": 1e39})
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_cudnn_is_kept_out_of_a_step_alone() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with without_cudnn_attention():
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gradients_under_a_mask_are_finite_on_a_gpu() -> None:
    """The lengths and activations at which cuDNN's backward pass gives NaN on an H200 (pytorch #196678)."""
    torch.manual_seed(0)
    size = 64
    for length in (64, 192, 704):
        query, key, value = (torch.randn(1, 1, length, size, device="cuda", dtype=torch.bfloat16) for _ in range(3))
        query[..., 0], key[..., 0] = 1.0, -120 * size**0.5  # a massive activation
        mask = torch.ones(length, length, dtype=torch.bool, device="cuda").tril()[None, None]
        query.requires_grad_()
        with without_cudnn_attention():
            scaled_dot_product_attention(query, key, value, attn_mask=mask).sum().backward()
        assert query.grad is not None and query.grad.isfinite().all()
