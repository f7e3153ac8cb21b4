"""Figures of measured arms → plots: pass@k by number of draws, and likelihoods against pass@1."""

import math
from collections.abc import Sequence

from benchmarks.svg import COLORS, dot, line, svg, text

from ..charts import curves, ticks
from .figures import MOST, Measured

POINTS = [2**power for power in range(int(MOST).bit_length())]
PANELS = {"unseen_chosen": "the chosen side", "unseen_removed": "D⁻"}
LEFT, SIDE, GAP, TOP, BOTTOM = 52, 250, 34, 58, 290
Dots = Sequence[tuple[str, float, float]]  # (arm, or its colour; x; y)


def plots(measured: Measured) -> dict[str, str]:
    """Name → SVG, of what there are records for; without the grid's name."""
    made = {}
    for domain in measured.domains:
        arms = measured.results.plan.grid.arms
        lines = {arm: points for arm in arms if (points := _pass_at_k(measured, domain, arm))}
        if lines:
            title = f"pass@k on {domain}, %, by the number k of draws at T = 0.8"
            made[f"pass-at-k-{domain}"] = curves(title, lines, {math.log2(k): str(k) for k in POINTS})
        panels = {said: _against(measured, domain, figure) for figure, said in PANELS.items()}
        if all(panels.values()):
            colors = {arm: COLORS[number % len(COLORS)] for number, arm in enumerate(arms)}  # those of the curves
            made[f"likelihoods-{domain}"] = _scatter(domain, panels, colors)
    return made


def _pass_at_k(measured: Measured, domain: str, arm: str) -> list[tuple[float, float]]:
    """(log2 k, mean pass@k in percent)."""
    found = [record["answers"]["pass_at_k"] for record in measured.records(domain, arm).values()]
    return [(math.log2(k), 100 * sum(f[str(k)] for f in found) / len(found)) for k in POINTS] if found else []


def _against(measured: Measured, domain: str, figure: str) -> list[tuple[str, float, float]]:
    """(arm, its figure, its pass@1 in percent), means over seeds; without arms that are under the base, whose distance
    would push all others into a corner."""
    arms = measured.results.plan.grid.arms
    found = [(arm, measured.mean(domain, arm, figure), measured.mean(domain, arm, "passed")) for arm in arms]
    least = measured.mean(domain, measured.base, "passed") or 0.0
    return [(arm, x, 100 * y) for arm, x, y in found if x is not None and y is not None and y >= least]


def _scatter(domain: str, panels: dict[str, Dots], colors: dict[str, str]) -> str:
    """Panels beside each other, which share pass@1 as their height and the arms' colours."""
    names = [arm for arm, *_ in next(iter(panels.values()))]
    low, high = _range([y for dots in panels.values() for _, _, y in dots])
    parts = [text(12, 20, f"pass@1 on {domain}, %, by the change of a log-likelihood on unseen pairs, nats", "b")]
    for number, (said, dots) in enumerate(panels.items()):
        colored = [(colors[arm], x, y) for arm, x, y in dots]
        parts += _panel(LEFT + number * (SIDE + GAP), said, colored, (low, high), with_ticks=number == 0)
    legend = LEFT + len(panels) * (SIDE + GAP) - 10
    for number, arm in enumerate(names):
        y = TOP + 18 * number
        parts += [dot(legend, y, colors[arm]), text(legend + 10, y + 4, arm)]
    return svg(legend + 140, max(BOTTOM + 36, TOP + 18 * len(names)), parts)


def _panel(left: float, said: str, dots: Dots, heights: tuple[float, float], *, with_ticks: bool) -> list[str]:
    (low, high), (first, last) = heights, _range([x for _, x, _ in dots])

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - first) / (last - first), (y - low) / (high - low)
        return left + across * SIDE, BOTTOM - up * (BOTTOM - TOP)

    parts = [text(left, TOP - 14, said)]
    for tick in ticks(low, high):
        y = place(first, tick)[1]
        parts += [line(left, y, left + SIDE, y, "#ddd"), *([text(left - 8, y + 4, f"{tick:g}", "r")] * with_ticks)]
    for tick in ticks(first, last):
        x = place(tick, low)[0]
        parts += [line(x, BOTTOM, x, BOTTOM + 4, "#777"), text(x, BOTTOM + 18, f"{tick:g}", "m")]
    return parts + [dot(*place(x, y), color) for color, x, y in dots]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From a little under the least to a little over the largest."""
    low, high = min(values), max(values)
    extent = (high - low) or abs(high) or 1.0
    return low - 0.06 * extent, high + 0.06 * extent
