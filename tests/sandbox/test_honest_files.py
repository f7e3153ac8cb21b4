"""Honest test files over all styles: right programs pass with the trust that the docs promise, wrong ones don't."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import get_args

import pytest
from honest_cases import CASES, problems
from test_rungs import as_nobody

from iterpref.errors import SandboxError
from iterpref.records import Style
from iterpref.sandbox import Sandbox

READY = [name for name in ("numpy", "pandas", "pytest") if find_spec(name)]  # imported once, not for every file


@pytest.fixture(scope="module", params=["zygote", "landlock"])
def judging(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    try:
        opened = Sandbox(workers=1, preload=READY, isolation=request.param)
    except SandboxError as error:
        pytest.skip(f"no {request.param} here: {error}")
    with opened:
        yield opened


def test_there_are_enough_of_every_style() -> None:
    assert len(CASES) >= 50
    assert {case.right.style for case in CASES.values()} == set(get_args(Style))


@pytest.mark.parametrize("name", CASES)
def test_honest_files_are_judged_rightly(judging: Sandbox, name: str) -> None:
    pytest.importorskip(CASES[name].needs or "sys")
    assert problems(judging, CASES[name]) == []


AS_NOBODY = """
    import os, sys
    sys.path[:0] = {paths!r}
    assert os.getuid() == 65534
    from importlib.util import find_spec
    from honest_cases import CASES, problems
    from iterpref.sandbox import Sandbox
    ready = [name for name in ("numpy", "pandas", "pytest") if find_spec(name)]
    with Sandbox(workers=1, preload=ready, isolation={isolation!r}) as sandbox:
        cases = [(name, case) for name, case in CASES.items() if find_spec(case.needs or "sys")]
        tried = [(name, problems(sandbox, case)) for name, case in cases]
    print([found for found in tried if found[1]])
    print(len(tried))
"""


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="becomes another user")
@pytest.mark.skipif(not shutil.which("setpriv") or not shutil.which("unshare"), reason="needs setpriv and unshare")
def test_honest_files_are_judged_rightly_for_an_unprivileged_user(cage: Sandbox) -> None:
    done = as_nobody(AS_NOBODY, "zygote")
    assert done.returncode == 0, done.stderr
    broken, tried = done.stdout.splitlines()
    assert broken == "[]"
    assert int(tried) == sum(find_spec(case.needs or "sys") is not None for case in CASES.values())
