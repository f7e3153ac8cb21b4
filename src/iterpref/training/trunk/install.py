"""Run TRL's calls of a model on a packed row, for as long as a context is open.

In: models with TRL's fused head, and a layout. Within the context `model(input_ids=(R, W), labels=...,
fused_lm_head=True)` runs the packed row instead and answers as if it had run the padded rows; other calls are as ever.
TRL's loss, metrics, references and PEFT see no difference. Keep the context open until the backward pass is done:
gradient checkpointing runs layers again there.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch.nn import Module

from iterpref.errors import TrainingError
from iterpref.training.trunk.attention import implementation, switched, tree_mask
from iterpref.training.trunk.head import cpu_tiles, narrowed, pick_states, unpack_outputs
from iterpref.training.trunk.layout import TrunkLayout


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
    name = implementation(mode)
    with ExitStack() as stack:
        configs = [causal_model(model).config for model in models]
        stack.enter_context(switched(configs, name))
        stack.enter_context(cpu_tiles(layout.input_ids.device))
        for model in models:
            call = _Call(layout, mode)
            backbone = causal_model(model).base_model
            for handle in (
                model.register_forward_pre_hook(call.pack, with_kwargs=True),
                backbone.register_forward_hook(call.pick),
                model.register_forward_hook(call.unpack, with_kwargs=True, always_call=True),
            ):
                stack.callback(handle.remove)
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
