"""Plain Python values ⇄ JSON, exactly: the only form in which a program's results leave its process.

Plain means None, bool, int, float, complex, str, bytes, list, tuple, dict, its keys and items, set, frozenset, range,
Decimal, Fraction, numbers of numpy's; a subclass (Counter, namedtuple) travels as the content of its base. Everything
else travels as `Opaque`, which equals nothing. No pickle: decoding builds only these types.
"""

import ast
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

from .exactness import ITEMS, KEYS, MAX_DEPTH, is_exact, is_number
from .stand_ins import Fingerprinted, Inexact, Iterated, Opaque, Written, fingerprint, is_large
from .texts import VALUE_CHARS, shorten, without_addresses

_SORTED = 10_000  # characters up to which sets are put in order
MAX_ITEMS = 1_000_000
_SET_DISPLAY = (ast.Set, ast.Tuple, ast.Constant, ast.UnaryOp, ast.USub, ast.UAdd, ast.Load)
_SAFE_INT = 1 << 53


class CodecError(ValueError):
    """Data that no `encode` writes."""


def encode(value: Any, depth: int = 0) -> Any:
    """JSON-able form of a plain value; `{"?": text}` for any other."""
    kind = type(value)
    if value is None or kind is bool or (kind is int and -_SAFE_INT < value < _SAFE_INT):
        return value
    if kind is str:
        return value
    if depth > MAX_DEPTH:
        return {"?": "<nested too deeply>"}
    if kind is list:
        return [encode(item, depth + 1) for item in value]
    return _encode_tagged(value, kind, depth + 1)


def _encode_tagged(value: Any, kind: type, depth: int) -> Any:
    """`{tag: content}`, if there is one for the type or for a base of it."""
    for base, encoder in _BASES:
        if issubclass(kind, base):
            return encoder(value, depth)
    for exact, encoder_of_exact in _EXACT:
        if kind is exact:
            return encoder_of_exact(value)
    if is_number(value):
        plain = value.item()
        if type(plain) is not kind:
            return encode(plain, depth)
    return {"?": opaque_text(value)}


def _encode_set(value: Any, depth: int) -> Any:
    if type(value) is not Written:
        return {"s": [encode(item, depth) for item in set.__iter__(value)]}
    return {"S": value.source} if value.source else {"s": [encode(item, depth) for item in value.items]}


# Types whose subclasses don't travel.
_EXACT: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (range, lambda value: {"r": [encode(value.start), encode(value.stop), encode(value.step)]}),
    (Fingerprinted, lambda value: {"#": [hex(value.fingerprint), value.text]}),
    (KEYS, lambda value: {"k": [encode(item) for item in value]}),
    (ITEMS, lambda value: {"I": [[encode(key), encode(item)] for key, item in value]}),
    (Decimal, lambda value: {"D": str(value)}),
    (Fraction, lambda value: {"F": [encode(value.numerator), encode(value.denominator)]}),
)
# Types as whose content a subclass travels; read with the methods of the base, for its own are the program's.
_BASES: tuple[tuple[type, Callable[[Any, int], Any]], ...] = (
    (int, lambda value, _: {"i": hex(int.__index__(value))}),
    (float, lambda value, _: {"f": float.__repr__(value)}),
    (str, lambda value, _: str.__str__(value)),
    (list, lambda value, depth: [encode(item, depth) for item in list.__iter__(value)]),
    (tuple, lambda value, depth: {"t": [encode(item, depth) for item in tuple.__iter__(value)]}),
    (dict, lambda value, depth: {"d": [[encode(k, depth), encode(v, depth)] for k, v in dict.items(value)]}),
    (set, _encode_set),
    (frozenset, lambda value, depth: {"fs": [encode(item, depth) for item in frozenset.__iter__(value)]}),
    (bytes, lambda value, _: {"b": bytes(value).hex()}),
    (bytearray, lambda value, _: {"b": bytes(value).hex()}),
    (complex, lambda value, _: {"c": [float.__repr__(value.real), float.__repr__(value.imag)]}),
)


def encode_fingerprinted(value: Any) -> Any:
    """Like `encode`, but of a large value only the fingerprint."""
    if is_large(value):
        ordered = isinstance(value, str | bytes | list | tuple)
        start = shorten(repr(value[:20]), VALUE_CHARS) if ordered else "..."
        return {"#": [hex(fingerprint(value)), f"{type(value).__name__} of {len(value)}: {start}"]}
    return encode(value)


def encode_iterated(value: Any) -> Any:
    """Like `encode`, but an iterator is run to its end (or a million items)."""
    return _encode_iterated(value, lambda _, encoded: encoded)


def encode_exactly(value: Any) -> Any:
    """Like `encode`, and marked where the value is not what is sent, but something like it."""
    return _marked(value, encode(value))


def encode_iterated_exactly(value: Any) -> Any:
    """Both."""
    return _encode_iterated(value, _marked)


def _encode_iterated(value: Any, marked: Callable[[Any, Any], Any]) -> Any:
    encoded = encode(value)
    if isinstance(encoded, dict) and "?" in encoded and hasattr(type(value), "__iter__"):
        value = list(islice(iter(value), MAX_ITEMS))
        encoded = {"it": [encode(item, 1) for item in value]}
    return marked(value, encoded)


def _marked(value: Any, encoded: Any) -> Any:
    speaks = hasattr(type(value), "__bool__") or hasattr(type(value), "__len__")
    return encoded if is_exact(value) else {"~": [encoded, not speaks]}


ENCODERS = {  # how a call's result is sent; awaited: of a coroutine, and of nothing else
    "value": encode, "iterated": encode_iterated, "fingerprint": encode_fingerprinted,
    "awaited": encode, "awaited iterated": encode_iterated,
    "value exactly": encode_exactly, "iterated exactly": encode_iterated_exactly,
    "awaited exactly": encode_exactly, "awaited iterated exactly": encode_iterated_exactly,
}  # fmt: skip


def opaque_text(value: Any) -> str:
    """A bounded repr that never raises, with sets in order: equal values give equal texts under any hash seed."""
    try:
        text = repr(value)
        if "{" in text and len(text) < _SORTED:
            text = _in_order(value)
    except BaseException as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return shorten(without_addresses(text), VALUE_CHARS)


def _in_order(value: Any) -> str:
    kind = type(value)
    if kind is list or (kind is tuple and len(value) > 1):
        text = ", ".join(map(_in_order, value))
        return f"[{text}]" if kind is list else f"({text})"
    if kind is dict:
        return f"{{{', '.join(f'{_in_order(k)}: {_in_order(v)}' for k, v in value.items())}}}"
    if kind in (set, frozenset, Written) and value:
        try:
            items = [_in_order(item) for item in sorted(value)]
        except TypeError:
            items = sorted(map(_in_order, value))
        return f"frozenset({{{', '.join(items)}}})" if kind is frozenset else f"{{{', '.join(items)}}}"
    return "set()" if kind is Written else repr(value)


def decode(data: Any) -> Any:
    """The value that `encode` was given; raises `CodecError` for anything else (a forged channel)."""
    try:
        return _decode(data)
    except CodecError:
        raise
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
        raise CodecError(f"not a plain value: {error}") from error


def decode_arguments(data: Any) -> Any:
    """Like `decode`, for a call's arguments inside: they come from the host, so sets can come as source."""
    if "S" not in _DECODERS:  # a zygote has put it there: no page to copy
        _DECODERS["S"] = _set_display
    return _decode(data)


def _set_display(source: str) -> Any:
    """The set that a display of constants makes; nothing else is ever executed, whoever wrote the source."""
    tree = ast.parse(source, mode="eval")
    if not is_set_display(tree.body):
        raise CodecError(f"not a set of constants: {source[:80]}")
    return eval(compile(tree, "<set>", "eval"), {"__builtins__": {}})


def is_set_display(node: ast.expr) -> bool:
    """Whether an expression is `{...}` of constants, which can travel as source."""
    return isinstance(node, ast.Set) and all(isinstance(part, _SET_DISPLAY) for part in ast.walk(node))


def _decode(data: Any) -> Any:
    if data is None or isinstance(data, bool | int | str):
        return data
    if isinstance(data, list):
        return [_decode(item) for item in data]
    if not isinstance(data, dict) or len(data) != 1:
        raise CodecError(f"not a plain value: {str(data)[:80]}")
    ((tag, body),) = data.items()
    if tag in _DECODERS:
        return _DECODERS[tag](body)
    raise CodecError(f"unknown tag {tag!r}")


def _hashed(items: list[Any]) -> list[Any]:
    """The items, unless their hashes collide so often that building a table of them would stall the host."""
    if len(items) > 1000 and len({hash(item) for item in items}) < len(items) // 2:
        raise CodecError("a set or dict of colliding hashes")
    return items


def _dict(body: list[Any]) -> dict[Any, Any]:
    keys = _hashed([_decode(key) for key, _ in body])
    return dict(zip(keys, (_decode(value) for _, value in body), strict=True))


_DECODERS: dict[str, Any] = {
    "i": lambda body: int(body, 16),
    "f": float,
    "t": lambda body: tuple(_decode(item) for item in body),
    "d": _dict,
    "s": lambda body: set(_hashed([_decode(item) for item in body])),
    "fs": lambda body: frozenset(_hashed([_decode(item) for item in body])),
    "b": bytes.fromhex,
    "c": lambda body: complex(float(body[0]), float(body[1])),
    "r": lambda body: range(_decode(body[0]), _decode(body[1]), _decode(body[2])),
    "k": lambda body: dict.fromkeys(_hashed([_decode(item) for item in body])).keys(),
    "I": lambda body: _dict(body).items(),
    "D": Decimal,
    "F": lambda body: Fraction(_decode(body[0]), _decode(body[1])),
    "it": lambda body: Iterated([_decode(item) for item in body]),
    "~": lambda body: Inexact(_decode(body[0]), body[1] is True),
    "?": lambda body: Opaque(str(body)),
    "#": lambda body: Fingerprinted(int(body[0], 16), str(body[1])[:1000]),
}
