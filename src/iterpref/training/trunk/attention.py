"""Attention on a packed row: a token sees what stands before it in its own row, and nothing of another's branch.

Three ways with equal results. `sdpa`: one call with a (T, T) mask. `split`: one call per segment over [prefix,
segment]; trunks need no mask, a branch of b tokens one of b x (prefix + b). `varlen`: one call for all segments
through the CUDA flash kernel, without masks (not run on the machines this was written on).
Installed through transformers' attention interface, under a name without a mask function, so that the model builds no
mask of its own. The layout comes as the keyword argument `trunk`, which models hand down to their attention.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from iterpref.errors import TrainingError
from iterpref.training.contexts import assigned
from iterpref.training.trunk.layout import Segment, TrunkLayout

# Features of some models' attention that come as keyword arguments and that these functions don't have.
_UNKNOWN = ("softcap", "s_aux", "position_bias")

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, TrunkLayout, float | None], torch.Tensor]


def segment_mask(segment: Segment) -> torch.Tensor:
    """(b, prefix + b) of bool: all of the prefix, and the segment up to the token itself."""
    own = segment.stop - segment.start
    ones = torch.ones(own, segment.prefix_length + own, dtype=torch.bool)
    return ones.tril(diagonal=segment.prefix_length)


def tree_mask(layout: TrunkLayout) -> torch.Tensor:
    """(1, 1, T, T) of bool on the layout's device, for `sdpa`; built once per layout."""
    if "tree" not in layout.derived:
        mask = torch.zeros(layout.tokens, layout.tokens, dtype=torch.bool)
        for segment in layout.segments:
            mask[segment.start : segment.stop, _places(segment)] = segment_mask(segment)
        layout.derived["tree"] = mask[None, None].to(layout.input_ids.device)
    return layout.derived["tree"]


def split_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: TrunkLayout, scale: float | None
) -> torch.Tensor:
    """Attention per segment: (1, H, T, D) → (1, T, H, D), as the layers want it next: one copy less."""
    lengths = [segment.stop - segment.start for segment in layout.segments]
    starts = [segment.start for segment in layout.segments]
    queries, keys, values = (torch.split(states, lengths, dim=2) for states in (query, key, value))
    outputs = []
    for at, (segment, mask) in enumerate(zip(layout.segments, _segment_masks(layout, query.dtype), strict=True)):
        if not segment.prefix:
            outputs.append(scaled_dot_product_attention(queries[at], keys[at], values[at], is_causal=True, scale=scale))
            continue
        seen_keys, seen_values = (
            torch.cat([*_prefix(segment, states, starts), states[at]], dim=2) for states in (keys, values)
        )
        outputs.append(scaled_dot_product_attention(queries[at], seen_keys, seen_values, attn_mask=mask, scale=scale))
    return torch.cat([states.transpose(1, 2) for states in outputs], dim=1)


def varlen_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: TrunkLayout, scale: float | None
) -> torch.Tensor:
    """The same in one call of the flash kernel, whose causal mask is aligned to the last query and key. CUDA only."""
    from torch.nn.attention.varlen import varlen_attn

    if "varlen" not in layout.derived:
        layout.derived["varlen"] = _varlen_arguments(layout)
    seen, *bounds = layout.derived["varlen"]
    # Under autocast rotary embeddings give float32, of which the kernel has none; values come as autocast made them.
    q, k, v = (states[0].transpose(0, 1).to(value.dtype) for states in (query, key, value))
    keys, values = k.index_select(0, seen), v.index_select(0, seen)
    out = varlen_attn(q.contiguous(), keys, values, *bounds, scale=scale, window_size=(-1, 0))
    assert isinstance(out, torch.Tensor)
    return out[None]


# The value of `trunk_attention` → what computes it. `sdpa` is transformers' own function with our mask.
ATTENTIONS: dict[str, Attend] = {"split": split_attention, "varlen": varlen_attention}


def attending(configs: Sequence[Any], mode: str) -> AbstractContextManager[None]:
    """Within the context, the models of these configs run a mode's attention."""
    name = mode if mode == "sdpa" else f"iterpref_trunk_{mode}"
    if mode in ATTENTIONS:
        AttentionInterface.register(name, _interface(ATTENTIONS[mode]))
    return assigned(configs, "_attn_implementation", name)


def _interface(attend: Attend) -> Callable[..., tuple[torch.Tensor, None]]:
    """`attend` as transformers calls it: (1, H, T, D) states in, (1, T, H, D) out."""

    def forward(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        trunk: TrunkLayout | None = None,
        **options: Any,
    ) -> tuple[torch.Tensor, None]:
        if trunk is None:
            raise TrainingError(f"{type(module).__name__} got no layout: the model hands no keyword arguments down")
        used = [name for name in _UNKNOWN if options.get(name) is not None]
        window = options.get("sliding_window")
        if window is not None and window < trunk.longest:
            used.append(f"a window of {window} tokens, fewer than a row's {trunk.longest},")
        if used or dropout:
            raise TrainingError(f"{type(module).__name__} uses {', '.join(used) or 'dropout'} in its attention")
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
        return attend(query, key, value, trunk, scaling), None

    return forward


def _segment_masks(layout: TrunkLayout, dtype: torch.dtype) -> list[torch.Tensor | None]:
    """Additive masks of the branches, made once per layout; None for trunks."""
    name = f"segments {dtype}"
    if name not in layout.derived:
        device = layout.input_ids.device
        masks = [segment_mask(segment) if segment.prefix else None for segment in layout.segments]
        layout.derived[name] = [
            None if mask is None else torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, float("-inf")).to(device)
            for mask in masks
        ]
    return list(layout.derived[name])


def _prefix(segment: Segment, states: Sequence[torch.Tensor], starts: Sequence[int]) -> Iterator[torch.Tensor]:
    """The states of a segment's prefix; a range may reach over several segments."""
    for start, stop in segment.prefix:
        for own, own_start in zip(states, starts, strict=True):
            first, last = max(start - own_start, 0), min(stop - own_start, own.shape[2])
            if first < last:
                yield own[:, :, first:last]


def _places(segment: Segment) -> torch.Tensor:
    """The places in the packed row that a segment's last token sees, in order."""
    return torch.cat([torch.arange(*part) for part in (*segment.prefix, (segment.start, segment.stop))])


def _varlen_arguments(layout: TrunkLayout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, int]:
    """Places of all keys, segment after segment; then bounds of each segment's queries and keys, and the longest."""
    device = layout.input_ids.device
    own = torch.tensor([segment.stop - segment.start for segment in layout.segments])
    seen = own + torch.tensor([segment.prefix_length for segment in layout.segments])
    bounds = [torch.cat([torch.zeros(1, dtype=torch.long), n.cumsum(0)]).to(device, torch.int32) for n in (own, seen)]
    places = torch.cat([_places(segment) for segment in layout.segments]).to(device)
    return places, bounds[0], bounds[1], int(own.max()), int(seen.max())
