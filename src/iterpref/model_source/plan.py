"""A model as its config describes it: how large it will be and how many tokens it knows, before a weight is read.

The network is made on torch's `meta` device, where tensors have shapes and no memory, by the class that will load it;
so tied embeddings count once, and nested or unusual configs need no rules of ours. It takes a fraction of a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterpref.model_source.files import ADAPTER, base_of, weight_files

_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
# Bytes of an element, where the config doesn't say how it is stored: too few refuse nothing that fits.
_SMALLEST = 2


@dataclass(frozen=True)
class Plan:
    """`network` is on the meta device, or None where transformers can't make it from its config alone."""

    config: Any
    network: Any
    stored_bytes: int | None
    """Of the weights' files; None where they aren't on this machine."""
    ends: frozenset[int] = frozenset()
    """Tokens that end what it generates, by its config and generation_config."""

    @property
    def parameters(self) -> int | None:
        return None if self.network is None else sum(tensor.numel() for tensor in self.network.parameters())

    @property
    def vocabulary(self) -> int | None:
        """Rows of the embedding: token ids below this have one."""
        try:
            table = self.network.get_input_embeddings()
        except (AttributeError, NotImplementedError):  # no network, or one that keeps it elsewhere
            table = None
        rows = getattr(table, "num_embeddings", None) or getattr(self.config.get_text_config(), "vocab_size", None)
        return rows if isinstance(rows, int) else None

    @property
    def dtype(self) -> str | None:
        """What the weights are stored in, as the config says."""
        name = str(getattr(self.config, "dtype", None)).removeprefix("torch.")
        return name if name in _BYTES else None

    @property
    def is_quantized(self) -> bool:
        return getattr(self.config, "quantization_config", None) is not None

    def in_words(self, dtype: str, bits: int | None = None) -> str:
        """Its weights, for people."""
        how = "quantized as stored" if self.is_quantized else f"in {bits} bits" if bits else f"in {dtype}"
        count = f"{self.parameters:,} parameters " if self.parameters is not None else ""
        return f"its weights ({count}{how})"

    def loaded_bytes(self, dtype: str, bits: int | None = None) -> int | None:
        """Memory of the weights when they are loaded as `dtype` (`auto`: as stored), or quantized to `bits` on the way.

        A lower bound, without buffers and working space; None where nothing tells.
        """
        if self.is_quantized:
            return self.stored_bytes
        stored = _BYTES.get(self.dtype or "", _SMALLEST)
        size = bits / 8 if bits else _BYTES.get(dtype, stored)
        if self.parameters is not None:
            return int(self.parameters * size)
        told = self.dtype is not None and self.stored_bytes is not None
        return int(self.stored_bytes / stored * size) if told and self.stored_bytes else None


def plan_of(source: str, trust_remote_code: bool = False) -> Plan | None:
    """The plan of what `model_source` gave; of an adapter that of its model. None where the config can't be read."""
    from transformers import AutoConfig

    folder = Path(source)
    if (folder / ADAPTER).is_file():
        base = base_of(folder)
        return plan_of(base, trust_remote_code) if base and base != source else None
    files = [path for path in weight_files(folder) if path.is_file()]
    stored = sum(path.stat().st_size for path in files) if files else None
    with _quietly():
        try:
            config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        except Exception:  # whatever is wrong with it, the loader says it
            return None
        return Plan(config, _network(config, trust_remote_code), stored, _ends(source, config))


def _ends(source: str, config: Any) -> frozenset[int]:
    from transformers import GenerationConfig

    named = [getattr(config.get_text_config(), "eos_token_id", None)]
    with suppress(Exception):  # there is none, or the hub is away
        named.append(GenerationConfig.from_pretrained(source).eos_token_id)
    return frozenset(end for name in named if name is not None for end in (name if isinstance(name, list) else [name]))


def _network(config: Any, trust_remote_code: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    except Exception:  # a class that is loaded under another head, or code of its own
        return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' remarks, which it makes again when the model is loaded."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
