"""PrefixGrouper's rows in the training benchmark: gradients of separate rows, with masks of our own making.

What needs the package skips without it; it installs with `pip install --no-deps prefix-grouper`.
"""

import sys
from typing import Any

import pytest
import torch
from benchmarks.training_prefix import GroupedBatch, GroupedPrompts, causal_mask, runnable
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from .trunk.conftest import focal_loss, make_network, make_rows


@pytest.fixture
def package() -> Any:
    return pytest.importorskip("prefix_grouper", reason="needs prefix-grouper (pip install --no-deps prefix-grouper)")


def padded_batch(negatives: int) -> dict[str, torch.Tensor]:
    """Rows as TRL hands them to a model."""
    rows, loss = make_rows(negatives)
    width = max(map(len, rows))
    ids, mask, wanted = (torch.zeros(len(rows), width, dtype=torch.long) for _ in range(3))
    for at, (row, marks) in enumerate(zip(rows, loss, strict=True)):
        ids[at, : len(row)], mask[at, : len(row)], wanted[at, : len(row)] = torch.tensor(row), 1, torch.tensor(marks)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(wanted == 0, -100)}


def gradient(batch: dict[str, torch.Tensor], once: bool | None) -> torch.Tensor:
    """Through PrefixGrouper, or with None as TRL runs the batch."""
    network = make_network("llama")
    add_fused_lm_head(network)
    if once is not None:
        GroupedPrompts(network, once)
    focal_loss(network(**batch, fused_lm_head=True, use_cache=False).log_probs).backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])


def test_without_the_package_its_rows_are_left_out_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "prefix_grouper", None)
    assert runnable(["trl", "prefix_grouper", "prefix_once"], "cpu") == ["trl"]
    assert "left out: prefix_grouper, prefix_once, because prefix_grouper isn't installed" in capsys.readouterr().out


def test_what_runs_without_the_package_is_not_commented_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "prefix_grouper", None)
    assert runnable(["trl", "authors"], "cuda") == ["trl", "authors"]
    assert capsys.readouterr().out == ""


def test_mask_hides_padding_and_the_future() -> None:
    """A prompt of two and one of three tokens, padded on the left, and the last two keys asking."""
    padding = torch.tensor([[False, True, True, True, True], [True, True, True, True, False]])
    mask = causal_mask(padding, 2, torch.float32)
    assert mask is not None and mask.shape == (2, 1, 2, 5)
    seen = (mask == 0).int()[:, 0].tolist()
    assert seen == [[[0, 1, 1, 1, 0], [0, 1, 1, 1, 1]], [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]]
    assert causal_mask(padding[:1, 1:], 4, torch.float32) is None  # SDPA's own does


def test_with_the_package_its_rows_are_run_on_a_cpu_alone(package: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ways = ["trl", "prefix_grouper"]
    assert runnable(ways, "cpu") == ways and not capsys.readouterr().out
    assert runnable(ways, "cuda") == ["trl"]
    assert "because they were written for a CPU" in capsys.readouterr().out


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("negatives", [1, 3])
def test_gradients_are_those_of_separate_rows(package: Any, negatives: int, once: bool) -> None:
    """Two prompts of unequal length; rounding is that of TRL's head, in float32."""
    batch = padded_batch(negatives)
    separate = gradient(batch, None)
    assert (gradient(batch, once) - separate).norm() < 1e-6 * separate.norm()


def test_once_packs_a_chosen_completion_once(package: Any) -> None:
    batch = padded_batch(3)
    sizes = [GroupedBatch(*batch.values(), once=once).grouper.num_samples.tolist() for once in (False, True)]
    assert sizes == [[6, 6], [4, 4]]


def test_registered_attention_of_the_package_does_not_serve_sdpa(package: Any) -> None:
    """Why masks are made here: its own are of padding only, (B, K). A release with whole ones would do."""
    from prefix_grouper.utils.register_transformers import register_attention

    register_attention()
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=97, initializer_range=0.2, **shape)
    config._attn_implementation = "prefix_grouper_attention"
    network = LlamaForCausalLM(config)

    def logits(ids: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        how = {"prefix_grouper": package.PrefixGrouper([sizes]), "prefix_grouper_attn_func": "sdpa"}
        return network(ids, use_cache=False, **how).logits

    ids = torch.arange(16)[None]
    later = ids.clone()
    later[0, 6] = 90
    one = [7, 9]
    assert not torch.allclose(logits(ids, one)[0, 0], logits(later, one)[0, 0])  # token 0 sees token 6
    with pytest.raises(RuntimeError, match="must match the size"):
        logits(ids, [7, 4, 5])
