"""Numbers → text as people write it."""

import math

MINUS = "−"


def percent(share: float) -> str:
    """0.647 → `64.7 %`, with a space that doesn't break."""
    return f"{share * 100:.1f}\N{NO-BREAK SPACE}%".replace("-", MINUS)


def short(value: float) -> str:
    """A number in three significant digits (two below 0.001), with a true minus sign."""
    text = f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
    return text.replace("e-0", "e-").replace("e+0", "e+").replace("-", MINUS)


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign unless it rounds to zero."""
    text = f"{difference * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def interval(low: float, high: float) -> str:
    """`−1.2 to +4.9` points; a dash where nothing differed, which bounds nothing."""
    return "–" if low == high else f"{points(low)} to {points(high)}"


def p_value(p: float | None) -> str:
    """Two significant digits, in powers of ten when small; a dash where there is no test."""
    if p is None:
        return "–"
    if p >= 0.001:
        return f"{p:.2g}"
    if p <= 0:
        return "below 10⁻³⁰⁰"
    exponent = math.floor(math.log10(p))
    power = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{p / 10**exponent:.1f} × 10{power}"


def amount(value: float | None) -> str:
    """A cost in three significant digits, in full from a thousand on; a dash where it isn't known."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """194.2 → `3 min 14 s`."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.1f} s"


def grouped(number: int) -> str:
    """20000 → `20,000`."""
    return f"{number:,}"


def how_many(number: int, one: str, several: str = "") -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
