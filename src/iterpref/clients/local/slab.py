"""Keys and values of the rows that are decoded together, and how a packed step reads and writes them.

One slab per layer, (rows, key heads, tokens, head size), the rows without gaps at its front: the rows that decode are a
view of it, and no step copies the past, as transformers' dynamic cache does. All new tokens of a step, of rows that
begin and of rows that go on, are one packed row of the model. Attention is exchanged through transformers' interface
under a name without a mask function, so that the model builds no mask; the layout comes as the keyword argument
`step`, which models hand down to their attention. Heads of queries that share keys are never written out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from iterpref.errors import ClientError

ATTENTION = "iterpref_decoding"
_GROWTH = 256  # tokens
SHORT = 16  # tokens at most of a row that decodes, with its guesses
# Features of some models' attention that come as keyword arguments and that this one doesn't have.
_UNKNOWN = ("softcap", "s_aux", "position_bias", "sliding_window")


class Piece(NamedTuple):
    """New tokens of one row in the packed step: places `first` to `last`, behind `past` tokens of the slab."""

    slot: int
    past: int
    first: int
    last: int


Kept = list[tuple[torch.Tensor, torch.Tensor]]
"""Per layer, keys and values of one row: (key heads, tokens, head size)."""


class Slab:
    """The cache; `most`: rows times tokens that it holds, more only where a single row needs more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.rows, self.tokens = 0, 0

    def reserve(self, rows: int, tokens: int) -> None:
        """Make room for so many rows of so many tokens each, which is all that is in use."""
        if rows <= self.rows and tokens <= self.tokens:
            return
        tokens = rounded(tokens)
        ahead = 1 << (rows - 1).bit_length()
        shapes = [(max(ahead, self.rows), max(tokens, self.tokens)), (max(rows, self.rows), tokens), (rows, tokens)]
        self.rows, self.tokens = next((s for s in shapes if s[0] * s[1] <= self._most), shapes[-1])
        self.layers = {number: (self._resized(k), self._resized(v)) for number, (k, v) in self.layers.items()}

    def layer(self, number: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer; made when it is first run, as only then its shape is known."""
        if number not in self.layers:
            shape = (self.rows, like.shape[1], self.tokens, like.shape[3])
            self.layers[number] = (like.new_zeros(shape), like.new_zeros(shape))
        return self.layers[number]

    def move(self, source: int, target: int, tokens: int) -> None:
        for states in self._all():
            states[target, :, :tokens] = states[source, :, :tokens]

    def take_out(self, slot: int, tokens: int) -> Kept:
        """A copy of one row's states."""
        return [(k[slot, :, :tokens].clone(), v[slot, :, :tokens].clone()) for _, (k, v) in sorted(self.layers.items())]

    def put_in(self, slot: int, kept: Kept, tokens: int) -> None:
        """The first `tokens` of a row that was taken out."""
        for (_, layer), states in zip(sorted(self.layers.items()), kept, strict=True):
            for own, other in zip(layer, states, strict=True):
                own[slot, :, :tokens] = other[:, :tokens]

    def _all(self) -> Iterable[torch.Tensor]:
        return (states for layer in self.layers.values() for states in layer)

    def _resized(self, states: torch.Tensor) -> torch.Tensor:
        resized = states.new_zeros(self.rows, states.shape[1], self.tokens, states.shape[3])
        rows, tokens = min(self.rows, states.shape[0]), min(self.tokens, states.shape[2])
        resized[:rows, :, :tokens] = states[:rows, :, :tokens]
        return resized


def rounded(tokens: int) -> int:
    """The capacity of a slab that holds so many tokens a row."""
    return -(-tokens // _GROWTH) * _GROWTH


@dataclass(frozen=True)
class Step:
    """One packed row. Its first pieces are those of the rows that decode, 0, 1, 2, ... in order: a token of each, and
    behind it what is guessed to follow. The others, within their prompts, are of any rows and lengths."""

    slab: Slab
    pieces: Sequence[Piece]
    device: torch.device
    _derived: dict[str, Any] = field(default_factory=dict)

    @property
    def decoding(self) -> int:
        """How many pieces at the front are the row's of their number, and short."""
        found = (i for i, piece in enumerate(self.pieces) if piece.slot != i or piece.last - piece.first > SHORT)
        first: int = self._once("decoding", lambda: next(found, len(self.pieces)))
        return first

    @property
    def longer(self) -> list[Piece]:
        """Pieces of more than a token, and those of no row that decodes: each has an attention of its own."""
        make: Callable[[], list[Piece]] = lambda: [  # noqa: E731
            piece for i, piece in enumerate(self.pieces) if i >= self.decoding or piece.last - piece.first > 1
        ]
        found: list[Piece] = self._once("longer", make)
        return found

    @property
    def pasts(self) -> torch.Tensor:
        """(decoding,) tokens of each decoding row in the slab."""
        return self._tensor("pasts", lambda: torch.tensor([piece.past for piece in self.pieces[: self.decoding]]))

    @property
    def firsts(self) -> torch.Tensor:
        """(decoding,) places of these rows' first tokens."""
        return self._tensor("firsts", lambda: torch.tensor([piece.first for piece in self.pieces[: self.decoding]]))

    def unseen(self, dtype: torch.dtype) -> torch.Tensor:
        """(decoding, 1, 1, longest) additive mask of places behind each row's first token."""

        def make() -> torch.Tensor:
            pasts = torch.tensor([piece.past for piece in self.pieces[: self.decoding]])
            hidden = torch.arange(int(pasts.max()) + 1) > pasts[:, None]
            return torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, float("-inf"))[:, None, None]

        return self._tensor(f"unseen {dtype}", make)

    def seen(self, piece: Piece) -> torch.Tensor:
        """(n, past + n) of bool: the past, and the piece up to the token itself."""
        n = piece.last - piece.first
        make: Callable[[], torch.Tensor] = lambda: torch.ones(n, piece.past + n, dtype=torch.bool).tril(piece.past)  # noqa: E731
        return self._tensor(f"seen {piece.slot}", make)

    def _tensor(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = self._once(name, lambda: make().to(self.device))
        return found

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._derived:
            self._derived[name] = make()
        return self._derived[name]


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    step: Step | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: states (1, heads, T, D) of the packed row → (1, T, heads, D)."""
    used = [name for name in _UNKNOWN if options.get(name) is not None]
    if step is None or used:
        raise ClientError(f"{type(module).__name__}: {', '.join(used) or 'keyword arguments do not reach it'}")
    keys, values = step.slab.layer(module.layer_idx, key)
    out = torch.empty_like(query).transpose(1, 2)
    if step.decoding:
        _decode(step, query, key, value, (keys, values), out, scaling)
    for piece in step.longer:
        stop = piece.past + piece.last - piece.first
        keys[piece.slot, :, piece.past : stop] = key[0, :, piece.first : piece.last]
        values[piece.slot, :, piece.past : stop] = value[0, :, piece.first : piece.last]
        part = scaled_dot_product_attention(
            query[:, :, piece.first : piece.last],
            keys[piece.slot, None, :, :stop],
            values[piece.slot, None, :, :stop],
            attn_mask=step.seen(piece) if piece.past else None,
            is_causal=not piece.past,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        out[:, piece.first : piece.last] = part.transpose(1, 2)
    return out, None


def _decode(
    step: Step,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layer: tuple[torch.Tensor, torch.Tensor],
    out: torch.Tensor,
    scaling: float | None,
) -> None:
    """The first new token of each row that decodes."""
    count, heads, size = step.decoding, key.shape[1], query.shape[3]
    keys, values = layer
    rows = torch.arange(count, device=query.device)
    keys[rows, :, step.pasts] = key[0, :, step.firsts].transpose(0, 1)
    values[rows, :, step.pasts] = value[0, :, step.firsts].transpose(0, 1)
    hidden = step.unseen(query.dtype)
    longest = hidden.shape[-1]
    grouped = query[0, :, step.firsts].view(heads, -1, count, size).permute(2, 0, 1, 3)  # (rows, key heads, group, D)
    scores = grouped.matmul(keys[:count, :, :longest].transpose(2, 3)) * (size**-0.5 if scaling is None else scaling)
    weights = (scores + hidden).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    out[0, step.firsts] = weights.matmul(values[:count, :, :longest]).reshape(count, -1, values.shape[3])


def exchange_attention(config: Any) -> None:
    """Make a model of this config run `attend`."""
    AttentionInterface.register(ATTENTION, attend)
    config._attn_implementation = ATTENTION
