"""Run TRL's calls of a model on a packed row, for as long as a context is open.

In: models with TRL's fused head, and a layout. Within the context `model(input_ids=(R, W), labels=...,
fused_lm_head=True)` runs the packed row instead and answers as if it had run the padded rows; other calls are as ever.
TRL's loss, metrics, references and PEFT see no difference. Keep the context open until the backward pass is done:
gradient checkpointing runs layers again there.
Only the states behind a prediction reach the last layer's feed-forward and the model's head: of the other tokens the
last layer's keys and values are all that is read. So logits exist only where there is loss. Which head that is, and
what it computes from the logits, stays with the caller (TRL's fused head), but for the size of its tiles on a CPU.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
import trl.trainer.utils
from torch.nn import Module, ModuleList

from iterpref.errors import TrainingError
from iterpref.training.contexts import assigned
from iterpref.training.trunk.attention import attending, tree_mask
from iterpref.training.trunk.layout import TrunkLayout

# Vocabulary columns of the logits that TRL's head holds at a time on a CPU. Its own tiles are made for a GPU's memory;
# these stay in a CPU's cache, which halves the head's time (docs/experiments.md). No value changes but by rounding.
CPU_TILE = 1024

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_PER_TOKEN = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1", "label_mask")


def causal_model(model: Any) -> Any:
    """The transformers model inside a PEFT model, or the model itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


@contextmanager
def installed(models: Sequence[Module], layout: TrunkLayout, mode: str) -> Iterator[None]:
    """Within the context, these (unwrapped) models answer TRL's calls through the layout.

    Args:
        models: Policy and reference; an adapter's policy is its own reference, and comes once.
        layout: Of the batch that the calls are made with.
        mode: `split`, `sdpa` or `varlen`.
    """
    with ExitStack() as stack:
        stack.enter_context(attending([causal_model(model).config for model in models], mode))
        stack.enter_context(cpu_tiles(layout.input_ids.device))
        for model in models:
            call, backbone = _Call(layout, mode), causal_model(model).base_model
            stack.callback(model.register_forward_pre_hook(call.pack, with_kwargs=True).remove)
            stack.callback(backbone.register_forward_hook(call.pick).remove)
            stack.callback(model.register_forward_hook(call.unpack, with_kwargs=True, always_call=True).remove)
            stack.enter_context(narrowed(backbone, layout))
        yield


class _Call:
    """The three hooks of a model: packed inputs in, states with a prediction to the head, per-token values out."""

    def __init__(self, layout: TrunkLayout, mode: str) -> None:
        self._layout = layout
        self._mode = mode
        self._running = False

    def pack(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        if not kwargs.get("fused_lm_head"):
            return args, kwargs
        self._running = True
        layout = self._layout
        kwargs = {k: v for k, v in kwargs.items() if k not in ("input_ids", "attention_mask", "labels")}
        kwargs |= {
            "input_ids": layout.input_ids,
            "position_ids": layout.position_ids,
            "shift_labels": layout.labels,
            "attention_mask": tree_mask(layout) if self._mode == "sdpa" else None,
        }
        return args, kwargs if self._mode == "sdpa" else kwargs | {"trunk": layout}

    def pick(self, module: Module, args: tuple[Any, ...], outputs: Any) -> Any:
        if self._running:
            hidden = getattr(outputs, "last_hidden_state", None)
            if hidden is None:
                raise TrainingError(f"{type(module).__name__} returns no last_hidden_state; set trunk_attention: off")
            outputs.last_hidden_state = pick_states(hidden, self._layout)
        return outputs

    def unpack(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> Any:
        running, self._running = self._running, False
        return unpack_outputs(outputs, self._layout) if running and outputs is not None else outputs


def pick_states(hidden: torch.Tensor, layout: TrunkLayout) -> torch.Tensor:
    """(1, T, H) hidden states → (1, S, H), those with a prediction; a state with two predictions comes twice."""
    return hidden.index_select(1, layout.picked)


def predicting(layout: TrunkLayout) -> torch.Tensor:
    """(P,) places in the packed row of the states behind a prediction, each once."""
    if "predicting" not in layout.derived:
        layout.derived["predicting"] = torch.unique_consecutive(layout.picked)  # picked is sorted
    return layout.derived["predicting"]


def last_feed_forward(backbone: Module) -> Module | None:
    """The feed-forward of the last decoder layer, or None in a model that names its parts otherwise or has experts,
    whose router may weigh tokens against each other."""
    layers = decoder_layers(backbone)
    if layers is None or has_experts(backbone.config):
        return None
    part = getattr(layers[-1], "mlp", None)
    return part if isinstance(part, Module) else None


def has_experts(config: Any) -> bool:
    """Whether feed-forwards are mixtures of experts."""
    return any(getattr(config, name, None) for name in _EXPERTS)


def decoder_layers(backbone: Module) -> ModuleList | None:
    """The layers that follow each other, or None in a model that keeps them otherwise."""
    layers = getattr(backbone.config, "num_hidden_layers", 0)
    return next((m for m in backbone.modules() if isinstance(m, ModuleList) and len(m) == layers), None)


@contextmanager
def narrowed(backbone: Module, layout: TrunkLayout) -> Iterator[None]:
    """Within the context, the last layer's feed-forward runs the states behind a prediction only.

    It takes each token by itself. The others' result is 0, and is read by nothing.
    """
    part = last_feed_forward(backbone)
    with ExitStack() as stack:
        if part is not None:
            call = _FeedForward(layout)
            stack.callback(part.register_forward_pre_hook(call.narrow, with_kwargs=True).remove)
            stack.callback(part.register_forward_hook(call.widen).remove)
        yield


class _FeedForward:
    """The two hooks. TRL's batches have two rows or more, so one row of T tokens is the packed one."""

    def __init__(self, layout: TrunkLayout) -> None:
        self._layout = layout
        self._narrowed = False

    def narrow(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._narrowed = not kwargs and len(args) == 1 and args[0].shape[:2] == (1, self._layout.tokens)
        return ((args[0].index_select(1, predicting(self._layout)),) if self._narrowed else args), kwargs

    def widen(self, module: Module, args: tuple[Any, ...], output: Any) -> Any:
        if not self._narrowed:
            return output
        if not torch.is_tensor(output):
            raise TrainingError(f"{type(module).__name__} returns more than hidden states; set trunk_attention: off")
        full = output.new_zeros(1, self._layout.tokens, output.shape[-1])
        return full.index_copy(1, predicting(self._layout), output)


def cpu_tiles(device: torch.device) -> AbstractContextManager[None]:
    """Within the context, TRL's head goes through the vocabulary in tiles of `CPU_TILE`, if it runs on a CPU."""
    return assigned([trl.trainer.utils] if device.type == "cpu" else [], "_CHUNKED_LOGPROB_CHUNK_SIZE", CPU_TILE)


def unpack(values: torch.Tensor, layout: TrunkLayout) -> torch.Tensor:
    """(1, S) values of the predictions → (R, W - 1) per token of the padded rows, 0 where there is no loss."""
    flat = values.new_zeros(layout.rows * layout.width)
    return flat.index_copy(0, layout.target, values[0].index_select(0, layout.source)).view(layout.rows, layout.width)


def unpack_outputs(outputs: Any, layout: TrunkLayout) -> Any:
    """TRL's output with its per-token values unpacked."""
    for name in _PER_TOKEN:
        value = getattr(outputs, name, None)
        if value is not None:
            setattr(outputs, name, unpack(value, layout))
    return outputs
