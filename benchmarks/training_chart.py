"""The rows of benchmarks/training.py as a bar chart (SVG): how many times longer other ways take for a step.

A group of bars is a setting, a bar another way of training; the dashed line says how many times more tokens rows have
than their trunks and branches.
"""

from itertools import groupby
from typing import Any

COLORS = {
    "trl_compact": "#3b6ea8",
    "trl_tiled": "#5f9ea0",
    "trl": "#8fb3d9",
    "authors": "#d98b3b",
    "prefix_grouper": "#7a6a9b",
    "prefix_once": "#b5a8cc",
}
NAMES = {
    "trl_compact": "TRL, compact head",
    "trl_tiled": "... and our tiles",
    "trl": "TRL as it is",
    "authors": "authors' masking",
    "prefix_grouper": "PrefixGrouper",
    "prefix_once": "... no text twice",
}
WIDTH, LEFT, RIGHT, TOP = 880, 245, 130, 58
BAR, GAP = 18, 14

Row = dict[str, Any]


def chart(rows: list[Row]) -> str:
    """A group of bars per (vocabulary, source, k, pairs per step)."""
    most = max((row["step_ratio"] for row in rows), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / (int(most) + 1)
    title = "time of a step (and peak memory growth) of another way / of trunk and branches"
    parts = [_text(LEFT, 18, title, "b"), *_legend(rows)]
    y = TOP
    for setting, members in groupby(sorted(rows, key=_order), _setting):
        bars = list(members)
        parts.append(_text(LEFT - 10, y + len(bars) * BAR / 2 + 4, setting, "r"))
        for number, row in enumerate(bars):
            top, length = y + number * BAR, row["step_ratio"] * scale
            parts.append(_bar(LEFT, top, length, COLORS[row["against"]]))
            label = f"{row['step_ratio']:.2f}, memory {row['memory_ratio']:.2f}"
            parts.append(_text(max(LEFT + length, LEFT + bars[0]["token_ratio"] * scale) + 6, top + 13, label))
        tokens = LEFT + bars[0]["token_ratio"] * scale
        parts.append(_line(tokens, y - 4, y + len(bars) * BAR + 2, dashed=True))
        y += len(bars) * BAR + GAP
    parts += [_line(LEFT, TOP - 6, y), *_axis(int(most) + 1, scale, y)]
    style = "text{font:12px sans-serif;fill:#333}.r{text-anchor:end}.m{text-anchor:middle}.b{font-weight:bold}"
    size = f'width="{WIDTH}" height="{y + 30}" viewBox="0 0 {WIDTH} {y + 30}"'
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{style}</style>{back}{"".join(parts)}</svg>\n'


def _order(row: Row) -> tuple[Any, ...]:
    return row["vocabulary"], row["source"], -row["pairs_per_step"], row["k"], list(COLORS).index(row["against"])


def _setting(row: Row) -> str:
    if row["source"] == "recorded":
        what = "recorded pairs"
    else:
        what = f"{row['k']} rejected" + (", one pair a step" if row["pairs_per_step"] == 1 else "")
    return f"vocabulary {row['vocabulary'] // 1000}k, {what}"


def _legend(rows: list[Row]) -> list[str]:
    present = {row["against"] for row in rows}
    parts, x = [], LEFT - 40 if len(present) < 5 else 10
    for way in [way for way in COLORS if way in present]:
        parts += [_bar(x, 27, 14, COLORS[way]), _text(x + 20, 40, NAMES[way])]
        x += 126
    return [*parts, _line(x + 6, 27, 43, dashed=True), _text(x + 14, 40, "ratio of tokens")]


def _axis(most: int, scale: float, y: float) -> list[str]:
    return [_text(LEFT + at * scale, y + 16, f"{at}x", "m") for at in range(most + 1)]


def _bar(x: float, y: float, length: float, color: str) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{length:.1f}" height="{BAR - 3}" fill="{color}"/>'


def _text(x: float, y: float, text: str, kind: str = "l") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{text}</text>'


def _line(x: float, top: float, bottom: float, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{bottom:.0f}" stroke="#333"{dash}/>'
