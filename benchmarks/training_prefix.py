"""TRL's batches of preference pairs through PrefixGrouper (arXiv:2506.05433): a prompt once, and all its completions.

    pip install --no-deps --target FOLDER prefix-grouper==0.0.1.post1   # and FOLDER on PYTHONPATH, or without --target

Optional: without the package `runnable` leaves these ways out and says so. PrefixGrouper takes a layer's attention
apart into a call for the prompts and one for the completions, whose keys are their prompt's, copied for each, and their
own; what computes a call is up to its user. What it registers with transformers gives SDPA masks of padding only, which
fails or shows the future (tests/training/test_prefix_grouper.py); so SDPA gets whole masks here, made once per batch.
As in this package's own way, the head runs at tokens with loss only.
"""

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

from iterpref.training.trunk.install import unpack_outputs
from iterpref.training.trunk.layout import TrunkLayout

# Both completions of every pair, as other rows have them; or each different completion of a prompt once.
PREFIX_WAYS = ("prefix_grouper", "prefix_once")
ATTENTION = "prefix_grouper_sdpa"


def runnable(ways: Sequence[str], device: str) -> list[str]:
    """The ways that can be run here; what is left out is said."""
    reason = None if device == "cpu" else "they were written for a CPU"
    if importlib.util.find_spec("prefix_grouper") is None:
        reason = "prefix_grouper isn't installed (pip install --no-deps prefix-grouper)"
    left_out = [way for way in ways if way in PREFIX_WAYS and reason]
    if left_out:
        print(f"left out: {', '.join(left_out)}, because {reason}", flush=True)
    return [way for way in ways if way not in left_out]


class GroupedPrompts:
    """Hooks that run PrefixGrouper's rows when TRL calls a model with its fused head."""

    def __init__(self, model: Any, once: bool) -> None:
        AttentionInterface.register(ATTENTION, _attention)
        model.config._attn_implementation = ATTENTION  # a name without a mask function: the model makes no mask
        self._once = once
        model.register_forward_pre_hook(self.before, with_kwargs=True)
        model.base_model.register_forward_hook(self.pick)
        model.register_forward_hook(self.after)

    def before(self, module: Any, args: Any, kwargs: Any) -> Any:
        ids, attention, labels = (kwargs.pop(name) for name in ("input_ids", "attention_mask", "labels"))
        self._batch = GroupedBatch(ids, attention, labels, self._once)
        return args, kwargs | self._batch.inputs(module.dtype)

    def pick(self, module: Any, args: Any, outputs: Any) -> Any:
        _, _, states, _ = self._batch.grouper.split_output(outputs.last_hidden_state, include_prefix_last=1)
        outputs.last_hidden_state = states[self._batch.picked][None]
        return outputs

    def after(self, module: Any, args: Any, outputs: Any) -> Any:
        return unpack_outputs(outputs, self._batch.layout)


class GroupedBatch:
    """R rows of width W, the chosen ones first, as a row per prompt with all of its completions.

    Loss on a chosen row begins where its prompt ends, which is its rejected row's, too.

    Attributes:
        grouper: PrefixGrouper's plan, which packs rows and takes attention apart.
        picked: Completion, and place in it, of each of S tokens with loss.
        layout: How their values become the R x (W - 1) of the rows; only that part of it is filled.
    """

    def __init__(self, ids: torch.Tensor, attention: torch.Tensor, labels: torch.Tensor, once: bool) -> None:
        from prefix_grouper import PrefixGrouper

        predicted = labels != -100
        starts = predicted[: len(ids) // 2].int().argmax(dim=1).repeat(2)
        bounds = zip(ids.tolist(), starts.tolist(), attention.sum(dim=1).tolist(), strict=True)
        # A number of its own keeps a row apart from its equals.
        rows = [(row[:start], row[start:stop], 0 if once else at) for at, (row, start, stop) in enumerate(bounds)]
        prompts = _different([prompt for prompt, *_ in rows])
        packed = sorted(_different(rows), key=lambda row: prompts.index(row[0]))
        sizes = [sum(own == prompt for own, *_ in packed) for prompt in prompts]
        self._prompts = _padded(prompts)
        self._completions = _padded([completion for _, completion, _ in packed])
        self.grouper = PrefixGrouper.from_ungrouped_masks(self._prompts[1], self._completions[1], sizes)

        row, column = predicted[:, 1:].nonzero(as_tuple=True)
        completion = torch.tensor([packed.index(row) for row in rows])[row]
        places, source = torch.stack([completion, column + 1 - starts[row]]).unique(dim=1, return_inverse=True)
        self.picked = (places[0], places[1])
        none, width = torch.empty(0), ids.shape[1] - 1
        self.layout = TrunkLayout(none, none, (), none, none, source, row * width + column, len(ids), width, 0)

    def inputs(self, dtype: torch.dtype) -> dict[str, Any]:
        """What the model is called with; masks by how many keys their call of attention has."""
        (prompts, prompt_mask), (completions, completion_mask) = self._prompts, self._completions
        lengths = self.grouper.prefix_lens.repeat_interleave(self.grouper.num_samples)[:, None]
        places = torch.arange(prompts.shape[1]).expand_as(prompts)
        later = lengths + torch.arange(completions.shape[1])
        calls = [(self.grouper.prefix_attn_mask, prompts), (self.grouper.suffix_attn_mask, completions)]
        return {
            "input_ids": self.grouper.concat_input(prompts, prompt_mask, completions, completion_mask),
            "position_ids": self.grouper.concat_input(places, prompt_mask, later, completion_mask),
            "shift_labels": completions[self.picked][None],
            "prefix_grouper": self.grouper,
            "masks": {keys.shape[1]: causal_mask(keys, queries.shape[1], dtype) for keys, queries in calls},
        }


def causal_mask(padding: torch.Tensor, queries: int, dtype: torch.dtype) -> torch.Tensor | None:
    """(B, K) of bool, True for tokens → (B, 1, Q, K), additive: the queries are the last keys, and see those before.

    Padding sees itself, lest a softmax be over nothing. None where SDPA's own causal mask does.
    """
    keys = padding.shape[1]
    if queries == keys and padding.all():
        return None
    key, query = torch.arange(keys), torch.arange(keys - queries, keys)[:, None]
    seen = (key <= query) & padding[:, None] | (key == query)
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))[:, None]


def _attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _: Any,
    *, prefix_grouper: Any, masks: dict[int, torch.Tensor | None], scaling: float | None = None, **options: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """As transformers calls it: (B, H, T, D) states in, (B, T, H, D) out."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        mask, fewer = masks[padding.shape[1]], k.shape[1] < q.shape[1]
        out = scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None, scale=scaling, enable_gqa=fewer)
        return out.transpose(1, 2)

    return prefix_grouper.forward(attend, query, key, value), None


def _different(rows: list[Any]) -> list[Any]:
    """The rows in their order, each once."""
    return [row for at, row in enumerate(rows) if row not in rows[:at]]


def _padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids, padded on the right, and which are no padding."""
    tensors = [torch.tensor(row) for row in rows]
    masks = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    return pad_sequence(tensors, batch_first=True), pad_sequence(masks, batch_first=True)
