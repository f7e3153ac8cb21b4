"""Records → plots (SVG): pass rates by iteration, and what each training changed with its interval."""

from collections.abc import Mapping

from benchmarks.pages import NOT_RUN
from benchmarks.svg import COLORS, dot, line, path, svg, text

from .evaluation import Paired, paired
from .plan import METHODS
from .records import Record
from .tables import passed_within

WIDTH, LEFT, RIGHT, TOP = 720, 130, 190, 40
CONTROLS = {"removed": "feedback removed", "shuffled": "another's feedback", "repairer": "larger model repairs"}


DEBUGGING, TRAINING = "real-models-debugging.svg", "real-models-training.svg"


def pictures(records: Mapping[str, Record], folder: str) -> dict[str, str]:
    """As tables.py's tables: name → Markdown that shows the chart in this folder, or that it was not run."""
    made = charts(records)
    said = {"debugging-chart": (DEBUGGING, "Share of tasks passed, by iteration"),
            "training-chart": (TRAINING, "Difference to the model before training")}  # fmt: skip
    return {name: f"![{what}]({folder}{file})" if file in made else NOT_RUN for name, (file, what) in said.items()}


def charts(records: Mapping[str, Record]) -> dict[str, str]:
    """File name → SVG, of what there are records for."""
    made = {}
    if "debugging" in records and "sampling" in records:
        made[DEBUGGING] = _pass_rates(records)
    trained = [records[f"evaluate-{name}"] for name in METHODS if f"evaluate-{name}" in records]
    if trained and "evaluate-base" in records:
        found = [paired(records["benchmarks"], records["evaluate-base"], record) for record in trained]
        made[TRAINING] = _differences(found)
    return made


def _pass_rates(records: Mapping[str, Record]) -> str:
    """Lines of debugging and sampling; each control of the first repair is a dot at iteration 1."""
    height, bottom = 330, 280
    own = records["debugging"]["outcomes"]
    last = max(1, max(len(kinds) for kinds in own.values()) - 1)
    lines = {name: [passed_within(records[name]["outcomes"], i) for i in range(last + 1)]
             for name in ("debugging", "sampling")}  # fmt: skip
    dots = {label: _after_control(own, records[arm]["outcomes"]) for arm, label in CONTROLS.items() if arm in records}

    def place(iteration: int, share: float) -> tuple[float, float]:
        return LEFT + iteration * (WIDTH - LEFT - RIGHT) / last, bottom - share * (bottom - TOP)

    parts = [text(LEFT, 20, "share of tasks passed, by iteration", "b")]
    for i in range(6):
        y = place(0, i / 5)[1]
        parts += [line(LEFT, y, WIDTH - RIGHT, y, "#ddd"), text(LEFT - 8, y + 4, f"{20 * i} %", "r")]
    parts += [text(place(i, 0)[0], bottom + 18, str(i), "m") for i in range(last + 1)]
    for color, (name, shares) in zip(COLORS, lines.items(), strict=False):
        points = [place(i, share) for i, share in enumerate(shares)]
        parts.append(path(points, color))
        parts.append(text(points[-1][0] + 8, points[-1][1] + 4, f"{name}, {shares[-1]:.1%}"))
    for number, (color, (name, share)) in enumerate(zip(COLORS[2:], dots.items(), strict=False)):
        x, y = place(1, share)
        parts += [dot(x, y, color), dot(LEFT + 14, bottom - 56 + 18 * number, color)]
        parts.append(text(LEFT + 24, bottom - 52 + 18 * number, f"{name}, {share:.1%}"))
    return svg(WIDTH, height, parts)


def _after_control(own: Mapping[str, list[str]], arm: Mapping[str, list[str]]) -> float:
    """Share of all tasks that passed at first or after this arm's repair."""
    return sum(not kinds[0] or arm.get(task, [])[1:2] == [""] for task, kinds in own.items()) / len(own)


def _differences(found: list[Paired]) -> str:
    most = max(0.05, *(max(abs(test.low), abs(test.high)) for test in found))
    middle = (LEFT + WIDTH - RIGHT) / 2
    scale = (WIDTH - LEFT - RIGHT) / 2 / most
    parts = [text(LEFT, 20, f"points of pass@1 against base, {found[0].tasks} tasks, with 95 % intervals", "b")]
    for number, test in enumerate(found):
        y = TOP + 14 + 26 * number
        low, at, high = (middle + scale * value for value in (test.low, test.difference, test.high))
        said = f"{100 * test.difference:+.1f}, {test.won} won, {test.lost} lost"
        parts += [text(LEFT - 8, y + 4, test.second, "r"), line(low, y, high, y, COLORS[0]), dot(at, y, COLORS[0])]
        parts.append(text(WIDTH - RIGHT + 10, y + 4, said))
    bottom = TOP + 26 * len(found) + 6
    parts.append(line(middle, TOP - 4, middle, bottom, "#999"))
    parts += [text(middle + scale * at, bottom + 16, f"{100 * at:+.0f}", "m") for at in (-most, 0, most)]
    return svg(WIDTH, bottom + 28, parts)
