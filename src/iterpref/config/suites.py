"""Which benchmarks a suite has, and how each is put to a model where that differs from `evaluation`."""

from typing import Any

from pydantic import Field

from iterpref.section import Section


def _at_most(tokens: int) -> dict[str, Any]:
    return {"sampling": {"max_tokens": tokens}}


# The nine columns of arXiv:2503.02783, Table 1, greedy, with the new tokens of their publishers' harnesses.
PAPER_SUITE: dict[str, dict[str, Any]] = {
    **{name: _at_most(768) for name in ("humaneval", "humaneval+", "mbpp", "mbpp+")},
    **{f"bigcodebench-{part}": _at_most(1280) for part in ("complete", "instruct", "hard-complete", "hard-instruct")},
    "livecodebench-v5": _at_most(2000),
}


class SuiteConfig(Section):
    """Models on a list of benchmarks (`iterpref suite`)."""

    benchmarks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Benchmark → what of `evaluation` is otherwise for it, as `humaneval+: {sampling: {max_tokens: 768}}`; default:
    the nine columns of the paper's Table 1."""
