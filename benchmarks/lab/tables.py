"""Results of a grid → tables in Markdown, by name. What is not finished says so; no figure is ever made up."""

from collections import Counter
from collections.abc import Sequence
from itertools import product

from benchmarks.pages import NOT_RUN, Rows, markdown, percent

from iterpref.analysis.taxonomy import KINDS

from .records import Record, kinds_of
from .results import LEVEL, Results, Test
from .statistics import Estimate, detectable, seeds_needed
from .tuning import Setting, chosen_again

WANTED_ERROR, MOST_SEEDS = 0.007, 30  # the plan's, in docs/results.md
FAILED_SHOWN = 20


def tables(results: Results) -> dict[str, str]:
    """`GRID-TABLE` → Markdown."""
    makers = {"results": _results, "tests": _tests, "rates": _rates, "power": _power, "kinds": _kinds,
              "debugging": _debugging, "rounds": _rounds, "missing": _missing}  # fmt: skip
    return {f"{results.plan.grid.name}-{name}": make(results) or NOT_RUN for name, make in makers.items()}


def points(value: float) -> str:
    return f"{100 * value:+.1f}"


def interval(found: Estimate, signed: bool = True) -> str:
    low, mean, high = ((points if signed else percent)(value) for value in (found.low, found.mean, found.high))
    return f"{mean} [{low}, {high}]"


def p_value(p: float) -> str:
    return f"{p:.2g}"


def decisions(results: Results) -> list[str]:
    """A sentence for each registered test."""
    return [f"{t.domain}, {t.family}: {t.first} - {t.second} is {interval(t.found)} points, p = {p_value(t.found.p)}, "
            f"{p_value(t.adjusted)} after Holm: {_in_words(t)}" for t in results.tests]  # fmt: skip


def _in_words(test: Test) -> str:
    if test.decision != "undecided":
        return test.decision
    return f"undecided (a difference below {_found_from(test)} points would most likely be missed)"


def _found_from(test: Test) -> str:
    """The true difference, in points, that the test finds with a power of 80 % at the strictest level of its family."""
    error = test.found.error
    return f"{100 * detectable(error, test.found.freedom, test.strictest):.1f}" if error else "0.0"


def _results(results: Results) -> str:
    grid = results.plan.grid
    rows: Rows = []
    for domain in grid.domains:
        for name in grid.arms:
            rows.append([domain, name, *_settings(results, domain, name), *_scores(results, domain, name)])
    if grid.seeds is None:
        return ""
    against = [f"minus {other}, points [95 %]" for other in grid.comparators]
    return markdown(["domain", "arm", "rate", "length", "seeds", "pass@1 [95 %]", *against, "pairs",
                     "tokens learnt, thousand", "programs written", "tokens of writing them, thousand"],
                    rows)  # fmt: skip


def _settings(results: Results, domain: str, name: str) -> list[str]:
    setting = results.plan.setting(domain, name, results.chosen)
    if setting is None:
        return ["–", "–"]
    if not setting.rate:
        return ["", ""]
    tuned = (domain, results.plan.grid.arms[name].rates_of or name) in results.chosen
    return [f"{setting.rate:g}{_edge(results, setting) if tuned else ''}", f"{setting.length:g}"]


def _edge(results: Results, chosen: Setting) -> str:
    """Says that a higher or lower rate than those tried might have been better."""
    rates = results.plan.grid.tuning.rates if results.plan.grid.tuning else ()
    if len(rates) < 3 or chosen.rate not in (min(rates), max(rates)):
        return ""
    return ", the lowest tried" if chosen.rate == min(rates) else ", the highest tried"


def _scores(results: Results, domain: str, name: str) -> list[object]:
    records, others = results.of_arm(domain, name), results.plan.grid.comparators
    if not records:
        return [0, *["–"] * (1 + len(others)), "", "", "", ""]
    score = results.score(domain, name)
    differences = [results.difference(domain, name, other) if other != name else None for other in others]
    mean = percent(sum(record["passed"] for record in records) / len(records))
    means = [f"{_mean([r[key] for r in records]) / scale:.0f}" if key in records[0] else ""
             for key, scale in (("pairs", 1), ("tokens", 1000))]  # fmt: skip
    if "spent" in records[0]:
        spent = [record["spent"] for record in records]
        tokens = _mean([one["prompt_tokens"] + one["completion_tokens"] for one in spent])
        means += [f"{_mean([one['programs'] for one in spent]):,.0f}", f"{tokens / 1000:.0f}"]
    else:
        means += ["", ""]
    return [len(records), interval(score, signed=False) if score else f"{mean} (no interval)",
            *(interval(found) if found else "–" for found in differences), *means]  # fmt: skip


def _tests(results: Results) -> str:
    rows: Rows = [
        [t.domain, t.family, f"{t.first} − {t.second}", t.found.seeds, interval(t.found), p_value(t.found.p),
         p_value(t.adjusted), t.decision, f"{100 * t.found.error:.2f}", _found_from(t)]
        for t in results.tests
    ]  # fmt: skip
    return markdown(["domain", "family", "test", "seeds", "points [95 %]", "p", "after Holm", "decision",
                     "standard error", "most likely found from"], rows)  # fmt: skip


def _rates(results: Results) -> str:
    """pass@1 on the validation tasks of the tuning seeds, at each rate and length; own lengths in an arm's row."""
    scores, tuning = results.plan.scores(results.records), results.plan.grid.tuning
    if not results.plan.tuned:
        return "None is chosen: the grid says them."
    if tuning is None or not scores:
        return ""
    settings = [Setting(rate, length) for length in tuning.lengths for rate in tuning.rates]
    rows: Rows = []
    for (domain, name), found in sorted(scores.items()):
        own = results.plan.grid.arms[name].lengths
        tried = [Setting(rate, length) for length in own or tuning.lengths for rate in tuning.rates]
        cells = [percent(sum(found[s]) / len(found[s])) if s in found else "–" for s in tried]
        if own:
            cells = [f"{cell} (x {setting.length:g})" for cell, setting in zip(cells, tried, strict=True)]
        chosen = results.chosen.get((domain, name))
        said = f"{chosen.rate:g} x {chosen.length:g}{_edge(results, chosen)}" if chosen else "–"
        rows.append([domain, name, *cells, said, percent(chosen_again(found)) if chosen else "–"])
    return markdown(["domain", "arm", *(f"{s.rate:g} x {s.length:g}" for s in settings), "chosen",
                     "of resamples, %"], rows)  # fmt: skip


def _power(results: Results) -> str:
    """Of each registered test: the deviation of a seed's difference, the seeds it takes, what these then find."""
    rows: Rows = []
    for domain, family, first, second, found in _spreads(results):
        seeds = seeds_needed(found.deviation, WANTED_ERROR)
        taken = min(seeds, MOST_SEEDS)
        error = found.deviation / taken**0.5
        least = percent(detectable(error, taken - 1, LEVEL)) if error else "0.0"
        rows.append([domain, family, f"{first} − {second}", found.seeds, percent(found.deviation), seeds, least])
    return markdown(["domain", "family", "test", "seeds", "standard deviation of a seed's difference, points",
                     f"seeds for a standard error of {100 * WANTED_ERROR:g}",
                     f"found with a power of 80 % by so many (at most {MOST_SEEDS}), points"], rows)  # fmt: skip


def _spreads(results: Results) -> list[tuple[str, str, str, str, Estimate]]:
    return [
        (domain, *test, found)
        for domain in results.plan.grid.domains
        for test in results.plan.grid.tests
        if (found := results.difference(domain, *test[1:])) is not None
    ]


def _kinds(results: Results) -> str:
    """Failures per thousand tasks, in the order of the paper's Table 18 and then the rest."""
    grid = results.plan.grid
    rows: Rows = []
    for domain in grid.domains:
        columns = [[kind for record in results.of_arm(domain, name) for kind in kinds_of(record)] for name in grid.arms]
        counts = [Counter(column) for column in columns]
        shares = {kind: [1000 * count[kind] / max(1, count.total()) for count in counts] for kind in KINDS}
        rows += [
            [domain, kind, *(f"{value:.1f}" for value in values)] for kind, values in shares.items() if any(values)
        ]
    return markdown(["domain", "failures per 1,000 tasks", *grid.arms], rows)


def _debugging(results: Results) -> str:
    """What the bases made of the training tasks: means over the seeds of each base."""
    found: dict[tuple[str, int, str], list[Record]] = {}
    for record in results.made.values():
        what = record["what"]
        if "passed" not in record["made"]:  # of diagnoses
            continue
        found.setdefault((what["domain"], record["base"], what["origin"]), []).append(record["made"])
    rows: Rows = []
    for place, made in sorted(found.items()):
        rates = [_mean(column) for column in zip(*(one["passed"] for one in made), strict=True)]
        totals = [
            f"{_mean([one[key] for one in made]):,.0f}" for key in ("calls", "prompt_tokens", "completion_tokens")
        ]
        rows.append([*place, len(made), " ".join(map(percent, rates)), *totals])
    return markdown(["domain", "base", "way", "seeds", "passed within 0, 1, … repairs or draws, %", "calls",
                     "prompt tokens", "answer tokens"], rows)  # fmt: skip


def _rounds(results: Results) -> str:
    """Of arms that go in rounds: what each round wrote, learned and gained; means over seeds."""
    rows: Rows = []
    for domain, name in product(results.plan.grid.domains, results.plan.grid.arms):
        found: dict[int, list[Record]] = {}
        for record in results.of_arm(domain, name):
            for number, part in enumerate((part for part in record.get("parts", ()) if "gain" in part), 1):
                found.setdefault(number, []).append(part | {"programs": part["spent"]["programs"]})
        for number, parts in found.items():
            programs, pairs, before, after = (
                _mean([part[key] for part in parts]) for key in ("programs", "pairs", "before", "after")
            )
            gain = after - before
            rows.append([domain, name, number, len(parts), f"{programs:.0f}", f"{pairs:.0f}", percent(before),
                         percent(after), points(gain), points(100 * gain / programs)])  # fmt: skip
    if not rows:
        return "No arm goes in rounds."
    return markdown(["domain", "arm", "round", "seeds", "programs written", "pairs", "pass@1 before, %",
                     "after, %", "gain, points", "gain per 100 programs"], rows)  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _missing(results: Results) -> str:
    missing = results.missing
    if not missing:
        return "Every cell is finished."
    rows: Rows = [[cell, why.replace("|", "\\|").split("\n")[0]] for cell, why in missing[:FAILED_SHOWN]]
    more = f"\n\n… and {len(missing) - FAILED_SHOWN} more." if len(missing) > FAILED_SHOWN else ""
    return markdown(["cell", "why it has no score"], rows) + more
