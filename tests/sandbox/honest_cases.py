"""Honest test files, read from `honest/`: a right program, a wrong one, and tests that tell them apart.

A case there, where `right` is a part of the program and `wrong` what a wrong program has instead; what follows are the
test files:

    === name
    --- style trust {"needs": "numpy", and further fields of the job}
    the program
    --- right
    a part of it
    --- wrong
    what a wrong program has there
    --- test_it.py
    the tests
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from iterpref.records import TestFile
from iterpref.sandbox import Job

_LIMITS = {"cpu_s": 20.0, "wall_s": 60.0}


class Case(NamedTuple):
    """`trust`: of the right program's pass. `needs`: a package that must be there."""

    right: Job
    wrong: Job
    trust: str
    needs: str | None


def _case(text: str) -> Case:
    parts = re.split(r"^--- (.+)\n", text, flags=re.MULTILINE)[1:]
    (title, program), (_, part), (_, instead), *tests = zip(parts[::2], parts[1::2], strict=True)
    style, trust, options = f"{title} ".split(" ", 2)
    fields: dict[str, Any] = json.loads(options or "{}")
    needs = fields.pop("needs", None)
    files = [TestFile(path=path, content=content) for path, content in tests]
    right = Job.model_validate({"program": program, "tests": files, "style": style, "limits": _LIMITS, **fields})
    changed = program.replace(part.removesuffix("\n"), instead.removesuffix("\n"))
    assert changed != program, f"the wrong program is the right one: {text}"
    return Case(right, right.model_copy(update={"program": changed}), trust, needs)


CASES = {
    f"{path.stem}: {name}": _case(text)
    for path in sorted((Path(__file__).parent / "honest").glob("*.txt"))
    for name, text in re.findall(r"^=== (.+)\n((?:(?!=== ).*\n)+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def problems(sandbox: Any, case: Case) -> list[str]:
    """What is wrong with the verdicts on a case."""
    right, wrong = sandbox.run(case.right), sandbox.run(case.wrong)
    found = []
    if (right.verdict, right.trust) != ("passed", case.trust):
        found.append(f"right: {right.verdict} {right.trust} {right.text[:400]} {right.stderr[-400:]}")
    if wrong.verdict not in ("failed", "error"):
        found.append(f"wrong: {wrong.verdict} {wrong.trust} {wrong.text[:400]}")
    return found
