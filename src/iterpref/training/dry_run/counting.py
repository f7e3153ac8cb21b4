"""A network's config → what a token costs in it: weights that multiply it, and bytes that autograd keeps of it.

Counted, not derived: the network is made of torch's fake tensors (shapes, types and a device, but no memory) by the
class that will load it, runs forward, and what autograd saves is summed up by storage. So grouped queries, norms that
go through float32, adapters and autocast's copies of weights need no rules of ours. Attention is taken to be a fused
kernel: it saves its inputs, its result and a float32 per query (Dao et al., arXiv:2205.14135), never a (T, T) matrix.
Not here: what the counts come to in a training (memory.py, work.py).
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import Linear, Module, Parameter
from transformers import AttentionInterface, AutoModelForCausalLM

from iterpref.training.contexts import assigned
from iterpref.training.trunk.install import causal_model, decoder_layers, has_experts, last_feed_forward

_ATTENTION = "iterpref_counted"
_TOKENS = (64, 128)  # two lengths of a row, which tell what grows with it
_FEW_LAYERS = (2, 3)  # and two heights of a stack of equal layers

Adapt = Callable[[Module], Module]


class Saved(NamedTuple):
    """Bytes that autograd saves of a row: `fixed` (autocast's copies of weights), and for each token."""

    fixed: float
    per_token: float

    def of(self, tokens: float) -> float:
        return self.fixed + tokens * self.per_token


@dataclass(frozen=True)
class Network:
    """Counts of parameters are numbers of elements. `trained` have gradients.

    Attributes:
        linear, linear_trained: Of the linear layers that every token goes through, so of all but the head's.
        last_feed_forward: Of those, what trunk-and-branch training runs for predicting states only.
        head: Of the language-model head, vocabulary x hidden size; `head_trained` of these have gradients.
        tied: Whether the head is the embedding, too.
        attention_width: Heads times their size (`head_size`), summed over the layers.
        layers: Their number; `layer` and `quantizable` are one's parameters, and all that quantizing would pack.
        in_layers, elsewhere: What autograd saves within the layers, and outside of them.
        in_last: Of `in_layers`, what the last feed-forward saves.
        stream_bytes: Of a token between two layers, which is all that checkpointing keeps of a layer.
    """

    parameters: int
    parameter_bytes: int
    trained: int
    trained_bytes: int
    linear: int
    linear_trained: int
    last_feed_forward: int
    head: int
    head_trained: int
    tied: bool
    attention_width: int
    head_size: int
    layers: int
    layer: int
    quantizable: int
    in_layers: Saved
    in_last: Saved
    elsewhere: Saved
    stream_bytes: float
    hidden: int


def count(config: Any, dtype: torch.dtype, autocast: bool, adapt: Adapt = lambda network: network) -> Network:
    """Count a causal language model.

    Args:
        config: transformers' configuration of it.
        dtype: What its weights are kept in.
        autocast: Whether it runs under autocast to bfloat16.
        adapt: Puts an adapter on it, where one is trained.

    Raises:
        Exception: Whatever transformers raises for a config that no network can be made from.
    """
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers <= max(_FEW_LAYERS) or not _are_alike(config.get_text_config(), layers):
        return _count(config, dtype, autocast, adapt)
    two, three = (_count(_with_layers(config, few), dtype, autocast, adapt) for few in _FEW_LAYERS)
    return _grown(two, three, layers)


def _are_alike(config: Any, layers: int) -> bool:
    """Whether the config says nothing of a layer that it doesn't say of each."""
    per_layer = [value for value in vars(config).values() if isinstance(value, list) and len(value) == layers]
    return all(value == value[:1] * layers for value in per_layer) and not has_experts(config)


def _with_layers(config: Any, layers: int) -> Any:
    made = copy.deepcopy(config)
    text = made.get_text_config()
    for name, value in vars(text).items():
        if isinstance(value, list) and len(value) == text.num_hidden_layers:
            setattr(text, name, value[:layers])
    text.num_hidden_layers = layers
    return made


def _grown(two: Network, three: Network, layers: int) -> Network:
    """The counts of so many layers, each of which adds what the third one does."""

    def line(few: float, more: float) -> float:
        return few + (more - few) * (layers - _FEW_LAYERS[0])

    values: dict[str, Any] = {}
    for name, few in vars(two).items():
        more = getattr(three, name)
        if isinstance(few, Saved):
            values[name] = Saved(*map(line, few, more))
        else:
            values[name] = few if isinstance(few, bool) else line(few, more)
    return Network(**values)


def _count(config: Any, dtype: torch.dtype, autocast: bool, adapt: Adapt) -> Network:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = adapt(AutoModelForCausalLM.from_config(config, dtype=dtype))
    with FakeTensorMode():
        _on_a_cpu(model)
        causal = causal_model(model)
        backbone, layers = causal.base_model, decoder_layers(causal.base_model)
        parts = list(layers) if layers is not None else []
        forward = _Forward(model, parts, last_feed_forward(backbone), autocast)
        with _counted_attention(causal):
            few, many = (forward.saved(backbone, tokens) for tokens in _TOKENS)
        return _network(model, causal, parts, few, many, forward.stream_bytes)


def _on_a_cpu(model: Module) -> None:
    """Replace a network's tensors, which are on the meta device, by fake ones of a CPU, which autocast knows."""
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None:
                continue
            fake = made.get(id(tensor))
            if fake is None:
                fake = torch.empty(tensor.shape, dtype=tensor.dtype)
                if isinstance(tensor, Parameter):
                    fake = Parameter(fake, requires_grad=tensor.requires_grad)
                made[id(tensor)] = fake
            holder = module._parameters if name in module._parameters else module._buffers
            holder[name] = fake  # type: ignore[assignment]


class _Forward:
    """A forward pass whose saved tensors are added up: all, those of the layers, those of the last feed-forward."""

    def __init__(self, model: Module, layers: list[Module], last: Module | None, autocast: bool) -> None:
        self._own = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}
        self._autocast = autocast
        self._inside = Counter[str]()
        self.stream_bytes = 0.0
        for layer in layers:
            self._watch("layer", layer)
            layer.register_forward_pre_hook(self._measure, with_kwargs=True)
        if last is not None:
            self._watch("last", last)

    def saved(self, backbone: Module, tokens: int) -> dict[str, int]:
        """Bytes saved of a row of so many tokens, in each `layer`, the `last` feed-forward, and `all` together."""
        found: dict[int, tuple[set[str], int]] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = _storage(tensor)
            if storage not in self._own:
                found.setdefault(storage, ({*+self._inside, "all"}, tensor.untyped_storage().nbytes()))
            return tensor  # the graph keeps it, so that no other storage gets its number

        row, places = torch.zeros(1, tokens, dtype=torch.long), torch.arange(tokens)[None]
        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks, torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
            kept = backbone(input_ids=row, position_ids=places, use_cache=False)
        del kept
        return {name: sum(size for names, size in found.values() if name in names) for name in ("layer", "last", "all")}

    def _watch(self, name: str, module: Module) -> None:
        module.register_forward_pre_hook(lambda *_: self._inside.update({name: 1}))
        module.register_forward_hook(lambda *_: self._inside.subtract({name: 1}))

    def _measure(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        self.stream_bytes = float(states.element_size() * states.shape[-1])


def _network(
    model: Module, causal: Any, layers: list[Module], few: dict[str, int], many: dict[str, int], stream_bytes: float
) -> Network:
    head, embedding = causal.get_output_embeddings(), causal.get_input_embeddings()
    linear = [module for module in causal.base_model.modules() if isinstance(module, Linear)]
    weights = [module.weight for module in linear]
    last = last_feed_forward(causal.base_model)
    narrowed = [m for m in last.modules() if isinstance(m, Linear)] if last is not None else []
    config = causal.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    saved = {name: _line(few[name], many[name]) for name in few}
    trained = [tensor for tensor in model.parameters() if tensor.requires_grad]
    return Network(
        parameters=sum(tensor.numel() for tensor in model.parameters()),
        parameter_bytes=_bytes(model.parameters()),
        trained=sum(tensor.numel() for tensor in trained),
        trained_bytes=_bytes(trained),
        linear=sum(weight.numel() for weight in weights),
        linear_trained=sum(weight.numel() for weight in weights if weight.requires_grad),
        last_feed_forward=sum(module.weight.numel() for module in narrowed),
        head=head.weight.numel(),
        head_trained=head.weight.numel() if head.weight.requires_grad else 0,
        tied=head.weight is embedding.weight,
        attention_width=config.num_attention_heads * size * len(layers),
        head_size=size,
        layers=len(layers),
        layer=sum(tensor.numel() for tensor in layers[0].parameters()) if layers else 0,
        quantizable=sum(module.weight.numel() for layer in layers for module in _packed(layer)),
        in_layers=saved["layer"],
        in_last=saved["last"],
        elsewhere=Saved(*(whole - part for whole, part in zip(saved["all"], saved["layer"], strict=True))),
        stream_bytes=stream_bytes,
        hidden=head.weight.shape[1],
    )


def _packed(layer: Module) -> Iterator[Linear]:
    """What quantizing would pack: linear layers of the base model, none of an adapter's own."""
    for module in layer.modules():
        if isinstance(module, Linear) and not module.weight.requires_grad:
            yield module


def _line(few: float, many: float) -> Saved:
    per_token = (many - few) / (_TOKENS[1] - _TOKENS[0])
    return Saved(few - per_token * _TOKENS[0], per_token)


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextmanager
def _counted_attention(causal: Any) -> Iterator[None]:
    """Within the context the network's attention saves what a fused kernel saves, and computes nothing."""
    AttentionInterface.register(_ATTENTION, _attend)
    with assigned([causal.config], "_attn_implementation", _ATTENTION):
        yield


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
    return _Kernel.apply(query, key, value).transpose(1, 2).contiguous(), None  # type: ignore[no-untyped-call]


class _Kernel(torch.autograd.Function):
    """(1, H, T, D) of queries, keys and values → (1, H, T, D)."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        result, normalizers = torch.empty_like(query), query.new_empty(query.shape[:3], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, result, normalizers)
        return result
