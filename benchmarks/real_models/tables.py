"""Records → tables in Markdown, by name. In the form of the paper's (arXiv:2503.02783) where it has one.

A table whose steps are not finished says so; no figure is ever made up. They go into docs/real-models.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.pages import NOT_RUN, Rows, markdown, percent

from iterpref.analysis.compare import mcnemar_p
from iterpref.analysis.diagnosis import PLACES
from iterpref.analysis.taxonomy import KINDS, PAPER_KINDS
from iterpref.statistics import mean_and_error

from .evaluation import Paired, counted, fixed_tests, paired, smallest_difference
from .plan import BENCHMARKS, METHODS
from .records import Record
from .training import choose_rate, scores_of

ARMS = {"removed": "feedback removed", "shuffled": "another task's feedback", "sampling": "one more draw",
        "repairer": "repaired by the larger model"}  # fmt: skip
VERDICTS = {"holds": "pairs whose D⁻ holds the fault", "passes_after": "… that pass after D⁻", "undecided": "undecided"}
DIFFERING = (0.05, 0.1, 0.15, 0.2)
Found = Mapping[str, Record]


def tables(records: Found) -> dict[str, str]:
    """Name → table, or that it was not run."""
    made: dict[str, str] = {}
    for make in (_tasks, _detectable, _calls, _iterations, _first_repair, _failures, _yield, _funnel, _diagnosis,
                 _rates, _scores, _tests, _paired, _kinds):  # fmt: skip
        name = make.__name__.removeprefix("_").replace("_", "-")
        try:
            made[name] = make(records) or NOT_RUN
        except KeyError:  # a step that it needs has no record
            made[name] = NOT_RUN
    return made


def _tasks(records: Found) -> str:
    found = records["benchmarks"]
    rows: Rows = [[n, found[n]["tasks"], len(found[n]["near_duplicates"]), found[n]["counted"]] for n in BENCHMARKS]
    return markdown(["benchmark", "evaluated", "near-duplicates", "counted"], rows)


def _detectable(records: Found) -> str:
    count = sum(records["benchmarks"][name]["counted"] for name in BENCHMARKS)
    found = [(share, smallest_difference(count, share)) for share in DIFFERING]
    rows: Rows = [[f"{share:.0%}", percent(gain) if gain else "none"] for share, gain in found]
    return markdown([f"of {count} tasks solved by just one of the two", "smallest gain found, points"], rows)


def passed_within(outcomes: Mapping[str, list[str]], iteration: int) -> float:
    """Share of tasks that passed at this iteration or before."""
    return sum("" in kinds[: iteration + 1] for kinds in outcomes.values()) / len(outcomes)


def _ways(records: Found) -> list[tuple[str, Record]]:
    return [("debugging", records["debugging"]), ("sampling", records["sampling"])]


def _calls(records: Found) -> str:
    """Table 5's form."""
    rows: Rows = []
    for name, record in _ways(records):
        most = max(len(kinds) for kinds in record["outcomes"].values())
        rows.append([name, f"≤ {most}", record["calls"], percent(passed_within(record["outcomes"], most))])
    return markdown(["way", "calls a task", "calls made", "passed, %"], rows)


def _iterations(records: Found) -> str:
    last = max(len(kinds) for _, record in _ways(records) for kinds in record["outcomes"].values())
    rows: Rows = [
        [name, *(percent(passed_within(record["outcomes"], i)) for i in range(last))] for name, record in _ways(records)
    ]
    return markdown(["passed within, %", *range(last)], rows)


def _first_repair(records: Found) -> str:
    """Of the tasks whose first attempt failed: own repairs against each control, in pairs."""
    own = records["debugging"]["outcomes"]
    failing = [task for task, kinds in own.items() if kinds[0]]
    rows: Rows = [["its own feedback", f"{_repaired(own, failing)} of {len(failing)}", "", "", ""]]
    for arm, name in ARMS.items():
        if arm in records:
            other = records[arm]["outcomes"]
            both = [task for task in failing if task in other]
            won = sum(_second(own, task) and not _second(other, task) for task in both)
            lost = sum(_second(other, task) and not _second(own, task) for task in both)
            p = f"{mcnemar_p(won, lost):.2g}"
            rows.append([name, f"{_repaired(other, both)} of {len(both)}", won, lost, p])
    return markdown(["first repair", "passed", "own won", "own lost", "p"], rows)


def _second(outcomes: Mapping[str, list[str]], task: str) -> bool:
    return outcomes[task][1:2] == [""]


def _repaired(outcomes: Mapping[str, list[str]], tasks: Sequence[str]) -> int:
    return sum(_second(outcomes, task) for task in tasks)


def _failures(records: Found) -> str:
    outcomes = records["debugging"]["outcomes"].values()
    last = max(len(kinds) for kinds in outcomes)
    counts = [Counter(kinds[i] for kinds in outcomes if len(kinds) > i and kinds[i]) for i in range(last)]
    rows: Rows = [[kind, *(count[kind] for count in counts)] for kind in KINDS if any(c[kind] for c in counts)]
    return markdown(
        ["attempts that failed, by iteration", *range(last)], [*rows, ["sum", *(c.total() for c in counts)]]
    )


def _yield(records: Found) -> str:
    """Pairs by the way they are made, as the rows of Table 7, and what each took."""
    rows: Rows = []
    for name, record in _ways(records):
        kept = records["pairs"]["funnels"][name]["kept"]
        tokens = record["prompt_tokens"] + record["completion_tokens"]
        per = [f"{value / kept:,.1f}" if kept else "–" for value in (record["calls"], tokens)]
        rows.append([name, kept, record["calls"], f"{tokens:,}", *per])
    return markdown(["way", "kept pairs", "calls", "tokens", "calls a pair", "tokens a pair"], rows)


def _funnel(records: Found) -> str:
    funnels = dict(records["pairs"]["funnels"])
    if "repairer" in records:
        funnels["repairer"] = records["repairer"]["pairs"]
    names = list(dict.fromkeys(name for funnel in funnels.values() for name in funnel["dropped"]))
    chosen = Counter(origin for _, origin in records["pairs"]["chosen"])
    if "all draws" in funnels:  # then draws are taken from all of them
        chosen["all draws"] = chosen.pop("sampling", 0)
    rows: Rows = [
        [way, funnel["found"], *(funnel["dropped"].get(name, 0) for name in names), funnel["kept"], chosen.get(way, "")]
        for way, funnel in funnels.items()
    ]
    return markdown(["pairs of", "found", *names, "kept", "trained on"], rows)


def _diagnosis(records: Found) -> str:
    """Continuations that pass, by where they begin: of all pairs, of each way's, and where lines follow D⁻."""
    pairs = records["diagnosis"]["pairs"]
    groups = {"all": pairs} | {way: [row for row in pairs if row["origin"] == way] for way in ("debugging", "sampling")}
    groups["lines left after D⁻"] = [row for row in pairs if row["goes_on"]]
    rows: Rows = [
        [said, *(_shares([row[place] for row in found if row[place] is not None]) for found in groups.values())]
        for place, said in PLACES.items()
    ]
    for verdict, said in VERDICTS.items():
        rows.append([said, *(sum(row["verdict"] == verdict for row in found) for found in groups.values())])
    return markdown(["continued", *(f"{way} ({len(found)})" for way, found in groups.items())], rows)


def _shares(shares: Sequence[float]) -> str:
    if len(shares) < 2:
        return percent(shares[0]) if shares else ""
    mean, error = mean_and_error(shares)
    return f"{percent(mean)} (± {percent(error or 0)})"


def _rates(records: Found) -> str:
    rows: Rows = []
    base = records["validate-base"]["validation"]
    rates = sorted({scored.rate for method in METHODS for scored in scores_of(records, method)})
    for method in METHODS:
        found = {scored.rate: scored for scored in scores_of(records, method)}
        if found:
            cells = [f"{percent(found[r].passed)} ± {percent(found[r].error)}" if r in found else "–" for r in rates]
            chosen = f"{choose_rate(list(found.values())):g}" if len(found) == len(rates) else "–"
            rows.append([method, *cells, chosen])
    before = f"{percent(base['pass@1'])} ± {percent(base.get('pass@1_stderr', 0.0))}"
    rows.append(["before training", before, *([""] * len(rates))])
    return markdown(["pass@1 ± standard error at rate", *(f"{rate:g}" for rate in rates), "chosen"], rows)


def _entrants(records: Found) -> list[Record]:
    return [records[f"evaluate-{name}"] for name in ("base", *METHODS) if f"evaluate-{name}" in records]


def _scores(records: Found) -> str:
    rows: Rows = []
    for entrant in _entrants(records):
        cells = []
        for name in BENCHMARKS:
            found = counted(records["benchmarks"], entrant, [name]).values()
            passed = sum(base for _, base in found), sum(not kind for kind, _ in found)
            cells += [percent(count / len(found)) for count in passed]
        rows.append([entrant["entrant"], f"{entrant['rate']:g}" if entrant["rate"] else "", *cells])
    return markdown(["model", "rate", "HumanEval", "HumanEval+", "MBPP", "MBPP+"], rows)


def _tests(records: Found) -> str:
    rows: Rows = [
        [name, f"{test.second} against {test.first}", *_cells(test), f"{adjusted:.2g}"]
        for name, test, adjusted in fixed_tests(records)
    ]
    return markdown(["test", "models", *_HEAD, "after Holm"], rows)


_HEAD = ("tasks", "won", "lost", "points [95 %]", "p")


def _cells(test: Paired) -> list[object]:
    interval = f"{100 * test.difference:+.1f} [{100 * test.low:+.1f}, {100 * test.high:+.1f}]"
    return [test.tasks, test.won, test.lost, interval, f"{test.p:.2g}"]


def _paired(records: Found) -> str:
    base = records["evaluate-base"]
    others = [entrant for entrant in _entrants(records) if entrant["entrant"] != "base"]
    rows: Rows = [[o["entrant"], *_cells(paired(records["benchmarks"], base, o))] for o in others]
    return markdown(["against base", *_HEAD], rows)


def _kinds(records: Found) -> str:
    """Table 18's form: its four kinds and their sum, then the others."""
    entrants = _entrants(records)
    outcomes = [counted(records["benchmarks"], entrant).values() for entrant in entrants]
    counts = [Counter(kind for kind, _ in found if kind) for found in outcomes]
    rows: Rows = [[kind, *(count[kind] for count in counts)] for kind in PAPER_KINDS]
    rows.append(["sum of these", *(sum(count[kind] for kind in PAPER_KINDS) for count in counts)])
    others = [kind for kind in KINDS if kind not in PAPER_KINDS and any(count[kind] for count in counts)]
    rows += [[kind, *(count[kind] for count in counts)] for kind in others]
    rows.append(["all failures", *(count.total() for count in counts)])
    return markdown(["tasks that failed", *(e["entrant"] for e in entrants)], rows) if entrants else ""
