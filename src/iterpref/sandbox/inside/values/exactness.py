"""Which values are plain through and through, so that what the host decodes behaves as they do."""

import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

KEYS: type = type({}.keys())
ITEMS: type = type({}.items())
MAX_DEPTH = 100
_SCALARS = {type(None), bool, int, float, complex, str, bytes, range, Decimal, Fraction}


def is_exact(value: Any, depth: int = 0) -> bool:
    """Whether a value, with all that it holds, is of the plain types themselves, none of a class derived from them."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth > MAX_DEPTH:
        return False
    if kind in (list, tuple, set, frozenset, KEYS):
        return all(is_exact(item, depth + 1) for item in value)
    if kind in (dict, ITEMS):
        return all(is_exact(part, depth + 1) for item in (value.items() if kind is dict else value) for part in item)
    return is_number(value) and type(value.item()) is not kind and is_exact(value.item())


def is_number(value: Any) -> bool:
    """Whether it is one number, date or text of numpy's."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return False
    return isinstance(value, numpy.generic) or (type(value) is numpy.ndarray and value.ndim == 0)
