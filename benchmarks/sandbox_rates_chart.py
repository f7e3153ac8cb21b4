"""Rates of sandbox_table.py as a bar chart (SVG): how many times those of `python -c`, idle and busy."""

from collections.abc import Mapping

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 120, 190, 64, 15, 12
COLORS = {"idle": "#3b6ea8", "busy": "#d98b3b"}
NAMES = {"idle": "idle machine", "busy": "beside a busy loop on each CPU"}
_STYLE = "text{font:12px sans-serif;fill:#333}.r{text-anchor:end}.m{text-anchor:middle}.b{font-weight:bold}"
Rates = Mapping[str, Mapping[str, float]]


def chart(idle: Rates, busy: Rates) -> str:
    """A group of two bars a way."""
    most = max(rate["ratio"] for rates in (idle, busy) for rate in rates.values())
    scale, y = (WIDTH - LEFT - RIGHT) / (int(most) + 1), TOP
    parts = [_text(LEFT, 20, "graded programs a second, relative to a fresh `python -c` in the same round", "b")]
    for number, (key, name) in enumerate(NAMES.items()):
        x = LEFT + 150 * number
        parts += [_bar(x, 32, 14, COLORS[key]), _text(x + 20, 44, name)]
    for way in idle:
        parts.append(_text(LEFT - 10, y + BAR + 4, way, "r"))
        for rates, color in ((idle, COLORS["idle"]), (busy, COLORS["busy"])):
            length = rates[way]["ratio"] * scale
            parts.append(_bar(LEFT, y, length, color))
            label = f"{rates[way]['ratio']:.2f}x, {rates[way]['per_second']:.0f} a second"
            parts.append(_text(LEFT + length + 6, y + 11, label))
            y += BAR
        y += GAP
    parts += [_text(LEFT + at * scale, y + 10, f"{at}x", "m") for at in range(int(most) + 2)]
    size = f'width="{WIDTH}" height="{y + 22}" viewBox="0 0 {WIDTH} {y + 22}"'
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{back}{"".join(parts)}</svg>\n'


def _bar(x: float, y: float, length: float, color: str) -> str:
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{length:.1f}" height="{BAR - 2}" fill="{color}"/>'


def _text(x: float, y: float, text: str, kind: str = "l") -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{text}</text>'
