"""The sandbox's hostile programs, as completions: none earns anything, each has a verdict, and no later one suffers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "adversarial"))
from everywhere import GROUPS, RIGHT

from iterpref.errors import SandboxError
from iterpref.rewards import CodeReward
from iterpref.sandbox import Sandbox


@pytest.fixture(scope="module")
def cage() -> Iterator[Sandbox]:
    try:
        sandbox = Sandbox(workers=2, isolation="zygote")
    except SandboxError as error:
        pytest.skip(f"hostile programs run in namespaces or nowhere: {error}")
    with sandbox:
        yield sandbox


@pytest.mark.parametrize("name", GROUPS)
def test_no_hostile_program_earns_anything(cage: Sandbox, name: str) -> None:
    programs, tests, _, limits = GROUPS[name]
    reward = CodeReward(partial=True, sandbox=cage, limits=limits, deadline_s=280.0)
    row = {"tests": tests, "entry_point": "f"}
    completions = [f"```python\n{program}\n```" for program in (*programs.values(), RIGHT)]
    *found, last = reward.score(completions, [row] * len(completions))
    assert {name: value for name, value in zip(programs, found, strict=True) if value != 0.0} == {}
    assert last == 1.0
    assert reward.metrics.runs == len(completions), "each was run"
