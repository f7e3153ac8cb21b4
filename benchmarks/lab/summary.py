"""The answer in short: the main ways to train on both domains, and what the registered tests say together.

    python -m benchmarks.lab.summary [--work DIR] [--from-published] [--publish]

Reads the records of the comparison on both domains and of the one variant's test; trains nothing. Tables go into
docs/results.md and README.md.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.pages import Rows, filled, markdown

from iterpref.files import write_text

from .charts import Panel, panels
from .checks import load_grid
from .options import grid_parser, parsed, run_command
from .output import FIGURES, PAGE, ROOT
from .plan import Plan
from .records import Records
from .results import Results, Test
from .tables import interval

GRIDS = ("methods", "objects", "confirm")
DOMAINS = {"steps": "methods", "objects": "objects"}
ARMS = {
    "base": "before training",
    "sft": "SFT on the fixes",
    "target_rpo": "Target-RPO",
    "rpo": "RPO",
    "target_dpo": "Target-DPO",
    "dpo": "DPO",
    "grpo": "GRPO, as many programs",
    "grpo_time": "GRPO, as much time",
}
TESTS = (
    ("losses", "target_dpo", "dpo"),
    ("losses", "target_rpo", "rpo"),
    ("losses", "target_rpo", "sft"),
    ("rl", "grpo", "target_rpo"),
    ("rl", "grpo_time", "target_rpo"),
    ("variant", "variant", "sft"),
    ("variant", "variant", "target_rpo"),
)
FIGURE = "lab-in-short.svg"
NOT_YET = "not run yet"


def scores_table(grids: Sequence[Results]) -> str:
    """pass@1 of each way to train, and its distance to SFT, on each domain that was run."""
    there = [domain for domain in DOMAINS if _comparison(grids, domain).score(domain, "sft")]
    rows: Rows = []
    for arm, said in ARMS.items():
        row: list[object] = [said]
        for domain in there:
            results = _comparison(grids, domain)
            score, less = results.score(domain, arm), results.difference(domain, arm, "sft")
            row += [interval(score, signed=False) if score else NOT_YET,
                    "–" if arm == "sft" or less is None else interval(less)]  # fmt: skip
        rows.append(row)
    columns = (column for domain in there for column in (f"`{domain}`: pass@1, %", "minus SFT, points"))
    return markdown(["way to train", *columns], rows)


def tests_table(grids: Sequence[Results]) -> str:
    """Each registered test on each domain, and the claim that both allow."""
    rows: Rows = []
    for test in TESTS:
        found = {domain: _found(grids, domain, test) for domain in DOMAINS}
        cells = [f"{interval(one.found)}: {one.decision}" if one else NOT_YET for one in found.values()]
        rows.append([f"{test[1]} − {test[2]}", *cells, claim(found)])
    return markdown(["test", *(f"`{domain}`" for domain in DOMAINS), "so"], rows)


def claim(found: dict[str, Test | None]) -> str:
    """What the plan lets be said: "X is better" needs the same decision on every domain."""
    if left := [domain for domain, test in found.items() if test is None]:
        return f"nothing yet: {', '.join(left)} {'is' if len(left) == 1 else 'are'} not run"
    decided = {domain: test.decision for domain, test in found.items() if test and test.decision != "undecided"}
    if not decided:
        return "undecided"
    if len(set(decided.values())) > 1:
        return "it depends on the domain"
    says = next(iter(decided.values()))
    return says if len(decided) == len(found) else f"of {', '.join(decided)} only: {says}"


def picture(grids: Sequence[Results]) -> str:
    """A panel for each domain that has scores."""
    made: list[Panel] = [
        (domain, [_comparison(grids, domain).score(domain, arm) for arm in ARMS]) for domain in DOMAINS
    ]
    there = [(domain, scores) for domain, scores in made if any(scores)]
    return panels("pass@1, %, with 95 % intervals over seeds", list(ARMS.values()), there)


def _comparison(grids: Sequence[Results], domain: str) -> Results:
    return next(results for results in grids if results.plan.grid.name == DOMAINS[domain])


def _found(grids: Sequence[Results], domain: str, test: tuple[str, str, str]) -> Test | None:
    made = (one for results in grids for one in results.tests if one.domain == domain)
    return next((one for one in made if (one.family, one.first, one.second) == test), None)


TABLES = {"in-short-scores": scores_table, "in-short-tests": tests_table}


def publish(
    grids: Sequence[Results], pages: Sequence[Path] = (PAGE, ROOT / "README.md"), figures: Path = FIGURES
) -> None:
    made = {name: table(grids) for name, table in TABLES.items()}
    for page in pages:
        write_text(page, filled(page.read_text(encoding="utf-8"), made))
    write_text(figures / FIGURE, picture(grids))


def _main() -> int:
    options = parsed(grid_parser("python -m benchmarks.lab.summary", __doc__))
    records = Records(options.work.resolve())
    if options.from_published:
        print(f"{records.take()} published records taken")
    grids = [Results.of(Plan.of(load_grid(name), options.bases), records) for name in GRIDS]
    print(f"{scores_table(grids)}\n\n{tests_table(grids)}")
    if options.publish:
        publish(grids)
    return 0


if __name__ == "__main__":
    run_command(_main)
