"""Results → plots (SVG): a dot with its interval for each arm and each test, domains side by side, and curves."""

import math
from collections.abc import Callable, Mapping, Sequence

from benchmarks.svg import COLORS, dot, line, path, svg, text

from .results import Results
from .statistics import Estimate
from .tables import interval

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 210, 170, 34, 24
Panel = tuple[str, Sequence[Estimate | None]]
"""A domain, and what is known of each row there."""
CURVES = {"logps/chosen": "log-probability of the chosen side", "rewards/margins": "margin of the rewards",
          "entropy": "entropy of the chosen side's tokens"}  # fmt: skip


def charts(results: Results) -> dict[str, str]:
    """Name → SVG, of what there are records for; without the grid's name."""
    made = {}
    grid = results.plan.grid
    for domain in grid.domains:
        scores = [(name, score) for name in grid.arms if (score := results.score(domain, name))]
        tests = [(f"{t.first} − {t.second}", t.found) for t in results.tests if t.domain == domain]
        if scores:
            made[f"scores-{domain}"] = _dots(f"pass@1 on {domain}, %, with 95 % intervals over seeds", scores, False)
        if tests:
            made[f"tests-{domain}"] = _dots(f"differences on {domain}, points, with 95 % intervals", tests, True)
        for metric in CURVES:
            lines = {name: curve for name in grid.arms if (curve := _mean_curve(results, domain, name, metric))}
            if lines:
                made[f"{metric.replace('/', '-')}-{domain}"] = curves(f"{CURVES[metric]}, {domain}, by step", lines)
    return made


def _dots(title: str, rows: Sequence[tuple[str, Estimate]], signed: bool) -> str:
    """Differences show zero."""
    bottom = TOP + ROW * len(rows)
    parts = [text(12, 20, title, "b")]
    place = _scale([found for _, found in rows], LEFT, WIDTH - RIGHT, parts, TOP - 4, bottom, signed)
    for number, (name, found) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        parts += [text(LEFT - 8, y + 4, name, "r"), line(place(found.low), y, place(found.high), y, COLORS[0])]
        parts += [dot(place(found.mean), y, COLORS[0]), text(WIDTH - RIGHT + 10, y + 4, interval(found, signed))]
    return svg(WIDTH, bottom + 28, parts)


def panels(title: str, names: Sequence[str], made: Sequence[Panel]) -> str:
    """The same rows on several domains, side by side, each on its own scale; a row without an estimate is empty."""
    parts = [text(12, 20, title, "b")]
    top, bottom = TOP + 22, TOP + 22 + ROW * len(names)
    room = (WIDTH - LEFT) / max(1, len(made))
    for row, name in enumerate(names):
        parts.append(text(LEFT - 14, top + ROW * (row + 0.5) + 4, name, "r"))
    for number, (domain, estimates) in enumerate(made):
        left, right = LEFT + room * number, LEFT + room * (number + 1) - 66
        there = [(row, found) for row, found in enumerate(estimates) if found]
        place = _scale([found for _, found in there], left, right, parts, top - 4, bottom)
        parts.append(text((left + right) / 2, TOP + 6, domain, "m"))
        for row, found in there:
            y = top + ROW * (row + 0.5)
            parts += [line(place(found.low), y, place(found.high), y, COLORS[0]), dot(place(found.mean), y, COLORS[0])]
            parts.append(text(right + 8, y + 4, f"{100 * found.mean:.1f}"))
    return svg(WIDTH, bottom + 28, parts)


def _scale(
    found: Sequence[Estimate],
    left: float,
    right: float,
    parts: list[str],
    top: float,
    bottom: float,
    zero: bool = False,
) -> Callable[[float], float]:
    """Lines at round numbers, put into `parts`; returns share → x. It ends where the intervals do, or at zero."""
    low, high = min(one.low for one in found), max(one.high for one in found)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    margin = 0.04 * ((high - low) or 0.01)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    for tick in ticks(100 * low, 100 * high):
        at = place(tick / 100)
        parts += [line(at, top, at, bottom, "#ddd"), text(at, bottom + 16, f"{tick:g}", "m")]
    if zero:
        parts.append(line(place(0.0), top, place(0.0), bottom, "#777"))
    return place


def _mean_curve(results: Results, domain: str, name: str, metric: str) -> list[tuple[float, float]]:
    """(step, mean over seeds); nothing where seeds have curves of different lengths."""
    found = [record["curve"] for record in results.of_arm(domain, name) if metric in record.get("curve", {})]
    points = min((len(curve[metric]) for curve in found), default=0)
    if points < 2:
        return []
    return [
        (
            sum(curve["step"][i] for curve in found) / len(found),
            sum(curve[metric][i] for curve in found) / len(found),
        )
        for i in range(points)
    ]


def curves(
    title: str, lines: Mapping[str, list[tuple[float, float]]], labels: Mapping[float, str] | None = None
) -> str:
    """Lines by name, each of points (x, y) with x from 0 on. `labels`: x → what stands there."""
    left, bottom, height = 70, 250, 290
    values = [value for points in lines.values() for _, value in points]
    low, high, last = min(values), max(values), max(points[-1][0] for points in lines.values())
    extent = (high - low) or abs(high) or 1.0
    low, high = low - 0.04 * extent, high + 0.04 * extent

    def place(step: float, value: float) -> tuple[float, float]:
        return left + step / last * (WIDTH - left - RIGHT), bottom - (value - low) / (high - low) * (bottom - TOP)

    parts = [text(12, 20, title, "b")]
    for tick in ticks(low, high):
        y = place(0, tick)[1]
        parts += [line(left, y, WIDTH - RIGHT, y, "#ddd"), text(left - 8, y + 4, f"{tick:g}", "r")]
    said = labels or {step: f"{step:.0f}" for step in (0, last / 2, last)}
    parts += [text(place(step, low)[0], bottom + 18, label, "m") for step, label in said.items()]
    for number, (name, points) in enumerate(lines.items()):
        color = COLORS[number % len(COLORS)]
        parts.append(path([place(*point) for point in points], color))
        y = TOP + 8 + 18 * number
        parts += [dot(WIDTH - RIGHT + 14, y, color), text(WIDTH - RIGHT + 24, y + 4, name)]
    return svg(WIDTH, max(height, TOP + 18 * len(lines) + 20), parts)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two: at least four of them, less than ten."""
    size = 10.0 ** math.floor(math.log10(high - low))
    step = next(size * part for part in (1.0, 0.5, 0.2, 0.1) if (high - low) / (size * part) >= 4)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]
