"""Numbers → the geometry of a chart; `templates/chart.svg.jinja` draws it.

All coordinates are in the units of the chart's own view box; colours and type sizes are in `static/base.css`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .numbers import MINUS, percent, short

Points = Sequence[tuple[float, float]]
_LABEL_GAP = 38.0  # so that labels of two text lines at the ends of lines don't overlap
_MOST_POINTS = 240  # of one line; more are not seen


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what is written there."""

    position: float
    text: str


@dataclass(frozen=True)
class Series:
    """One line: its points, and a label that stands under its name beside the last one ("" for neither)."""

    name: str
    points: tuple[tuple[float, float], ...]
    label: str
    label_y: float

    @property
    def path(self) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)

    @property
    def end(self) -> tuple[float, float]:
        return self.points[-1]


@dataclass(frozen=True)
class Chart:
    """A chart ready to draw; `left`, `right`, `top`, `bottom` bound the plotted area, `summary` is read aloud."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str
    series: tuple[Series, ...]
    dots: bool
    summary: str


def rates_chart(rates: Mapping[str, Sequence[float]], x_title: str) -> Chart:
    """Pass rates (0 to 1) by iteration, one line per name, on an axis that begins at zero."""
    width, height, left, right, top, bottom = 500.0, 290.0, 58.0, 372.0, 14.0, 240.0
    last = max(1, max(len(values) for values in rates.values()) - 1)
    ceiling = min(1.0, math.ceil(max(max(values) for values in rates.values()) * 5 + 1e-9) / 5) or 0.2
    x = _scale(0, last, left, right)
    y = _scale(0, ceiling, bottom, top)
    series = [
        Series(name, tuple((x(i), y(rate)) for i, rate in _thinned(list(enumerate(values)))), percent(values[-1]),
               y(values[-1]))
        for name, values in rates.items()
    ]  # fmt: skip
    told = "; ".join(f"{name}: {', '.join(map(percent, values))}" for name, values in rates.items())
    step = max(1, last // 10)
    return Chart(
        width, height, left, right, top, bottom,
        x_ticks=tuple(Tick(x(i), str(i)) for i in range(0, last + 1, step)),
        y_ticks=tuple(Tick(y(i / 5), f"{i * 20} %") for i in range(round(ceiling * 5) + 1)),
        x_title=x_title,
        series=tuple(_apart(series)),
        dots=True,
        summary=f"Share of tasks passed, by {x_title}. {told}.",
    )  # fmt: skip


def metric_chart(name: str, points: Points) -> Chart:
    """One metric by training step, at least two points; the axis spans the values seen."""
    width, height, left, right, top, bottom = 280.0, 160.0, 50.0, 266.0, 10.0, 122.0
    low, high = min(value for _, value in points), max(value for _, value in points)
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    first, last = points[0][0], points[-1][0]
    x = _scale(first, last, left, right)
    y = _scale(low - margin, high + margin, bottom, top)
    drawn = _thinned(points)
    line = Series(name, tuple((x(step), y(value)) for step, value in drawn), "", 0.0)
    marks = _round_numbers(low - margin, high + margin) if high > low else [(low, short(low))]
    return Chart(
        width, height, left, right, top, bottom,
        x_ticks=tuple(Tick(x(step), text) for step, text in _round_numbers(first, last, whole=True)),
        y_ticks=tuple(Tick(y(value), text) for value, text in marks),
        x_title="step",
        series=(line,),
        dots=len(drawn) <= 12,
        summary=f"{name} by training step: from {short(points[0][1])} to {short(points[-1][1])}, "
        f"lowest {short(low)}, highest {short(high)}.",
    )  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One bin: its rectangle, its label below, and its count above."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: int


@dataclass(frozen=True)
class Bars:
    """Counts by bin, ready to draw."""

    width: float
    height: float
    bottom: float
    bars: tuple[Bar, ...]
    summary: str


def bars_chart(name: str, bins: Sequence[tuple[str, int]], what: str) -> Bars:
    """Counts of `what` by bin, from zero."""
    width, height, top, bottom = 460.0, 160.0, 22.0, 130.0
    each = width / max(1, len(bins))
    most = max((count for _, count in bins), default=0) or 1
    bars = tuple(
        Bar(i * each + each * 0.1, bottom - (bottom - top) * count / most, each * 0.8,
            (bottom - top) * count / most, label, count)
        for i, (label, count) in enumerate(bins)
    )  # fmt: skip
    told = ", ".join(f"{label}: {count}" for label, count in bins)
    return Bars(width, height, bottom, bars, f"Number of {what} by {name}. {told}.")


def _round_numbers(low: float, high: float, whole: bool = False) -> list[tuple[float, str]]:
    """At most five round numbers (six whole ones) from `low` to `high`, with their texts; they are 1, 2 or 5 times a
    power of ten apart."""
    extent = (high - low) or abs(high) or 1.0
    power = max(10.0 ** math.floor(math.log10(extent)), 1.0 if whole else 0.0)
    steps = [power * factor for factor in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
    ranges = [range(math.ceil(low / s - 1e-9), math.floor(high / s + 1e-9) + 1) for s in steps]
    fit = [len(found) <= (6 if whole else 5) and (not whole or s >= 1) for s, found in zip(steps, ranges, strict=True)]
    at = fit.index(True)
    step = steps[at]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = [i * step for i in ranges[at]]
    usual = 1e-4 < step < 1e6
    return [(n, f"{n:,.{places}f}".replace("-", MINUS) if usual else short(n)) for n in numbers]


def _thinned(points: Points) -> Points:
    """At most `_MOST_POINTS` of them: of each group the lowest and the highest, so that peaks stay; and both ends."""
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-2 * len(points) // (_MOST_POINTS - 2))
    kept = {0: points[0], len(points) - 1: points[-1]}
    for start in range(0, len(points), size):
        group = range(start, min(start + size, len(points)))
        for at in (min(group, key=lambda i: points[i][1]), max(group, key=lambda i: points[i][1])):
            kept[at] = points[at]
    return [kept[at] for at in sorted(kept)]


def _scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """Values from `low` to `high` → coordinates from `start` to `stop`."""
    extent = (high - low) or 1.0
    return lambda value: start + (value - low) / extent * (stop - start)


def _apart(series: Sequence[Series]) -> list[Series]:
    """Move labels that would overlap down, the highest line's first."""
    placed: dict[str, Series] = {}
    lowest = -math.inf
    for line in sorted(series, key=lambda s: s.label_y):
        lowest = max(line.label_y, lowest + _LABEL_GAP)
        placed[line.name] = replace(line, label_y=lowest)
    return [placed[line.name] for line in series]
