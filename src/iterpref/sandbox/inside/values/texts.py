"""Texts for a reader of an Execution: bounded, and equal for equal runs."""

import re

CASE_CHARS = 300  # of a call, a value or a detail in a record
VALUE_CHARS = 200  # of a value in a text


def shorten(text: str, bound: int) -> str:
    """Head and tail of a text that is too long."""
    if len(text) <= bound:
        return text
    tail = bound // 4
    return f"{text[: bound - tail - 3]}...{text[-tail:]}"


def without_addresses(text: str) -> str:
    """`<Box object at 0x7f17df976c20>` → `<Box object>`: equal runs must give equal texts."""
    return re.sub(r"(<[^<>]{1,200}) at 0x[0-9a-fA-F]+>", r"\1>", text) if " at 0x" in text else text
