"""What the records call a model → what people call it. The whole name stands beside it, as a title."""

import re
from collections import Counter
from collections.abc import Iterable

# Each with what tells two of one name apart: a hash of the weights or of the file, the address of an endpoint.
_NAMES = re.compile(r"\b(?:local|samples):(.+?):([0-9a-f]{12})\b|\bopenai:(\S+)@(\S+)")


def model_labels(names: Iterable[str]) -> dict[str, str]:
    """Name → `coder` for `local:coder:13f8e59efa51`, `gpt-4o` for `openai:gpt-4o@api.openai.com/v1`. What tells models
    apart that are called the same stays, cut."""
    distinct = list(dict.fromkeys(names))
    several = Counter(_NAMES.sub(_name, name) for name in distinct)
    return {
        name: label if several[label := _NAMES.sub(_name, name)] == 1 else _NAMES.sub(_name_and_more, name)
        for name in distinct
    }


def _name(found: re.Match[str]) -> str:
    return str(found[1] or found[3])


def _name_and_more(found: re.Match[str]) -> str:
    return f"{_name(found)} ({(found[2] or '')[:6] or found[4][:40]})"
