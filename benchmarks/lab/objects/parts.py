"""A program of the second domain is seven parts, each at a place of its own; `arrange` puts them together.

    read     how a row becomes `name, amount`: lines of the loop's body, or the helper function `read(row)`
    state    the body of `Box.__init__`
    add      the body of `Box.add(amount)`
    value    the body of `Box.value()`
    walk     the loop over the rows, around the lines `<read>` and `<group>`
    group    what is made before the loop (above the line `<walk>`), and which box gets the amount
    report   the end of `solve`, or the helper function `pick(boxes)`

Each is an `Operation` of the playground: what it `takes` and `gives` says which parts fit. Not here: the parts
themselves (rows.py, boxes.py, reports.py).
"""

from collections.abc import Sequence

from iterpref.playground.operations import Form, Operation, Site

DESCRIPTION = {
    "dicts": 'a list of dicts with a "name" and mostly an "amount"',
    "pairs": "a list of (name, amount) pairs",
    "ragged": "a list of tuples, a name and mostly an amount",
    "long": "a list of tuples, a name and up to two amounts",
    "lines": "a list of lines, a name and mostly a number",
    "words": "a list of words",
}
BOX, WALK, GROUP, REPORT, SINGLE, RESULT = "box", "walk", "group", "report", "single", "result"


def erring(
    name: str,
    phrase: str,
    takes: str,
    gives: str,
    *right: str,
    wrong: Sequence[tuple[str, float]],
    k: Sequence[int] = (),
) -> Operation:
    """A part with misconceptions: each `wrong` is (code, how often it is written)."""
    forms = (Form(right, 1.0 - sum(p for _, p in wrong), 1.0), *(Form((code,), p, 0.0) for code, p in wrong))
    return Operation(name, phrase, takes, gives, forms, tuple(k))


def arrange(sites: Sequence[Site], lines: Sequence[Sequence[str]]) -> str:
    """The program of the lines of its seven parts, without a final newline."""
    read, state, add, value, walk, group, report = map(list, lines)
    blocks = [_box(state, add, value)]
    if read[0].startswith("def "):
        blocks.append(read)
        read = ["name, amount = read(row)"]
    if report[0].startswith("def "):
        blocks.append(report)
        report = ["return pick(boxes)"]
    made = group.index("<walk>")
    loop = _expanded(_expanded(walk, "<read>", read), "<group>", group[made + 1 :])
    blocks.append(["def solve(rows):", *_indented([*group[:made], *loop, *report])])
    return "\n\n".join("\n".join(block) for block in blocks)


def prompt(sites: Sequence[Site]) -> str:
    """The task in words; says nothing of the readings that the tests want."""
    read, state, add, value, walk, group, report = (site.phrase for site in sites)
    return (
        f"Write solve(rows), where rows is {DESCRIPTION[sites[0].operation.takes]}; {read}. {walk}. "
        f"Use {group}: it {state} and {add}, its value is {value}. Return {report}."
    )


def _box(state: list[str], add: list[str], value: list[str]) -> list[str]:
    methods = {"__init__(self)": state, "add(self, amount)": add, "value(self)": value}
    text = ["class Box:"]
    for head, body in methods.items():
        text += [f"    def {head}:", *_indented(_indented(body)), ""]
    return text[:-1]


def _expanded(lines: list[str], mark: str, by: list[str]) -> list[str]:
    """The lines with others, indented as it is, in place of the mark."""
    found: list[str] = []
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        found += [indent + other for other in by] if line.strip() == mark else [line]
    return found


def _indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]
