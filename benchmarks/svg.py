"""The few shapes that the plots in docs/ are made of: coordinates → SVG, with colours of its own, for any page."""

COLORS = ("#3b6ea8", "#d98b3b", "#5f9ea0", "#8f5fa0", "#777777", "#b04a5a", "#6b8f3b", "#3b8fb0", "#a08a3b", "#5a5ab0",
          "#222222", "#d9a0b8")  # fmt: skip
_STYLE = "text{font:12px sans-serif;fill:#333}.r{text-anchor:end}.m{text-anchor:middle}.b{font-weight:bold}"


def svg(width: float, height: float, parts: list[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}</style>{back}{"".join(parts)}</svg>\n'


def line(x: float, y: float, to_x: float, to_y: float, color: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{color}" stroke-width="1.5"/>'


def path(points: list[tuple[float, float]], color: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="2"/>'


def dot(x: float, y: float, color: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{color}"/>'


def text(x: float, y: float, said: str, kind: str = "l") -> str:
    """`kind`: l(eft), r(ight), m(iddle), b(old)."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{said}</text>'
