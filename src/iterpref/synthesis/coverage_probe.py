"""Line and branch coverage of a program by its tests, which run as always; the package coverage watches.

Where a share can't be had it is None, with the reason. Not here: the watching (`Sandbox.measure`); verdicts, which
come from ordinary runs only.
"""

import json
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import coverage

from iterpref.programs import PARSING
from iterpref.records import Style
from iterpref.sandbox import Job
from iterpref.sandbox.remote import AnySandbox

_MAIN = r"""if __name__\s*==\s*["']__main__["']\s*:"""
_NEVER = r"(?!)"


class Coverage(NamedTuple):
    """Shares of the program's lines and branches that its tests reach, 1.0 where there are none; or why not.

    `broken`: for no reason of the program's, so that another try may succeed.
    """

    lines: float | None = None
    branches: float | None = None
    problem: str = ""
    broken: bool = False


def measure_coverage(sandbox: AnySandbox, job: Job) -> Coverage:
    """Run a job whose program passes, with more time and memory than it needs alone."""
    roomy = job.limits.at_least(job.limits.cpu_s * 4 + 2, job.limits.wall_s * 2 + 10)
    roomy = roomy.model_copy(update={"memory_bytes": roomy.memory_bytes + (256 << 20)})
    measured = sandbox.measure(job.model_copy(update={"limits": roomy}))
    found = measured.execution
    if not found.passed:
        problem = f"the tests did not pass while it was measured ({found.verdict}: {found.headline})"
        return Coverage(problem=problem, broken=found.verdict == "sandbox_error")
    try:
        found_shares = shares(job.program, measured.arcs, job.style)
    except (coverage.exceptions.CoverageException, UnicodeEncodeError) as error:
        return Coverage(problem=f"coverage.py can't read the program ({error})")
    if not measured.problem or found_shares == (1.0, 1.0):
        return Coverage(*found_shares)
    # What was seen was reached, so a share that is full without the rest stays full.
    lines, branches = (share if share == 1.0 else None for share in found_shares)
    return Coverage(lines, branches, measured.problem)


def shares(program: str, arcs: Collection[tuple[int, int]], style: Style) -> tuple[float, float]:
    """Shares of lines and branches that these arcs reach. What only a script runs doesn't count where none is run."""
    with tempfile.TemporaryDirectory() as folder, PARSING:
        path, report = Path(folder, "program.py"), Path(folder, "report.json")
        path.write_bytes(program.encode())
        read = coverage.Coverage(branch=True, data_file=None, config_file=False)
        # Under tests of functions the block never runs; in a script it always does.
        read.set_option("report:exclude_lines", [_NEVER if style == "stdio" else _MAIN])
        read.set_option("report:partial_branches", [_MAIN])
        read.get_data().add_arcs({str(path): arcs})
        read.json_report(morfs=[str(path)], outfile=str(report))
        totals = json.loads(report.read_text())["totals"]
    return (
        _share(totals["covered_lines"], totals["num_statements"]),
        _share(totals["covered_branches"], totals["num_branches"]),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
