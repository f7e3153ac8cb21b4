"""What the trainer changes for some calls of a model: fewer rows, no checkpointing. The model stays what it is."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch


class ChosenRows:
    """A model that runs the first half of the rows only and answers zeros for the others.

    For SFT: TRL sends chosen and rejected rows, but the latter carry no loss and would double the work.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, **inputs: Any) -> Any:
        rows = len(inputs["input_ids"]) // 2
        outputs = self._model(**{k: v[:rows] if torch.is_tensor(v) else v for k, v in inputs.items()})
        for name, value in outputs.items():
            if torch.is_tensor(value) and value.ndim > 1:
                outputs[name] = torch.cat([value, torch.zeros_like(value)])
        return outputs


@contextmanager
def assigned(holders: Iterable[Any], name: str, value: Any) -> Iterator[None]:
    """Within the context, an attribute of these objects has another value."""
    before = [(holder, getattr(holder, name)) for holder in holders]
    for holder, _ in before:
        setattr(holder, name, value)
    try:
        yield
    finally:
        for holder, old in before:
            setattr(holder, name, old)


def without_checkpointing(models: Iterable[Any]) -> AbstractContextManager[None]:
    """Within the context no layer is run again in a backward pass: for calls without gradients.

    TRL's function of this purpose reads a property that transformers deprecates, which warns in every run.
    """
    layers = [layer for model in models for layer in model.modules() if getattr(layer, "gradient_checkpointing", False)]
    return assigned(layers, "gradient_checkpointing", False)
