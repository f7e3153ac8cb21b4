"""docs/python.md: its blocks run as they stand, one after the other, and say what the page says they say."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    said = []
    for number, block in enumerate(blocks):
        exec(compile(block, f"python.md, block {number}", "exec"), names)
        said.append(capsys.readouterr().out)
    assert names["trainer"].state.global_step == 1
    assert names["trainer"].dropped == {}
    assert said[1] == "double(3) returned 9, expected 6\n"
    assert len(names["dataset"]) == 1
    assert re.fullmatch(r"double:debugging:\w{8}#0-1 AssertionError 1\n", said[2])
    assert said[3] == "passed \ntimeout The run hit its limit cpu_s.\n"
    assert said[4] == "+100% [+100%, +100%], p = 1.0\n"
