"""Which box gets an amount, and what is told of the boxes: missing boxes, look-ups, ties, deletions, text.

Notation: parts.py.
"""

from benchmarks.lab.objects.parts import GROUP, REPORT, RESULT, SINGLE, erring

from iterpref.playground.operations import Operation, ambiguous, plain


def _by(key: str) -> str:
    return f"boxes = {{}}\n<walk>\nkey = {key}\nif key not in boxes:\n    boxes[key] = Box()\nboxes[key].add(amount)"


_NAMED = "boxes = {}\n<walk>\nif name not in boxes:\n    boxes[name] = Box()\nboxes[name].add(amount)"
_LOWER = _NAMED.replace("<walk>", "<walk>\nname = name.lower()")
_PRESET = 'boxes = {"a": Box(), "b": Box()}\n<walk>\nif name in boxes:\n    boxes[name].add(amount)'
_BOTH = (
    'boxes = {"all": Box()}\n<walk>\nif name not in boxes:\n    boxes[name] = Box()\nfor key in (name, "all"):\n'
    "    boxes[key].add(amount)"
)

GROUPS: tuple[Operation, ...] = (
    plain("one_box", "one box", GROUP, SINGLE, "box = Box()\n<walk>\nbox.add(amount)"),
    erring("one_named", "one box for the rows named a", GROUP, SINGLE,
           'box = Box()\n<walk>\nif name == "a":\n    box.add(amount)',
           wrong=[('box = None\n<walk>\nif name == "a":\n    box.add(amount)', 0.25)]),
    erring("by_name", "a box for each name", GROUP, REPORT, _NAMED,
           "boxes = {}\n<walk>\nboxes.setdefault(name, Box()).add(amount)",
           wrong=[("boxes = {}\n<walk>\nboxes[name].add(amount)", 0.1),
                  ("boxes = {}\n<walk>\nboxes[name] = Box()\nboxes[name].add(amount)", 0.1)]),
    erring("by_lower", "a box for each name in lower case", GROUP, REPORT, _LOWER,
           wrong=[(_NAMED.replace("boxes[name].add", "boxes[name.lower()].add"), 0.6)]),
    erring("by_letter", "a box for each first letter of a name", GROUP, REPORT, _by("name[:1]"),
           wrong=[(_by("name[0]"), 0.65)]),
    plain("by_parity", "a box for odd and one for even amounts", GROUP, REPORT, _by('"odd" if amount % 2 else "even"')),
    plain("by_level", "a box for amounts below {k} and one for others", GROUP, REPORT,
          _by('"low" if amount < {k} else "high"'), k=range(2, 6)),
    ambiguous("by_sign", "a box for amounts up and one for those down", GROUP, REPORT,
              (_by('"up" if amount > 0 else "down"'), 0.75, 0.4), (_by('"up" if amount >= 0 else "down"'), 0.25, 0.6)),
    erring("preset", "boxes for a and b only", GROUP, REPORT, _PRESET,
           wrong=[(_PRESET.replace("if name in boxes:\n    ", ""), 0.5),
                  (_PRESET.replace("if name in boxes:\n    boxes[name].add", "boxes.get(name).add"), 0.15)]),
    erring("by_name_and_all", "a box for each name and one for all", GROUP, REPORT, _BOTH,
           wrong=[(_BOTH.replace('{"all": Box()}', "{}"), 0.3)]),
)

_BEST = (
    "def pick(boxes):\n    best = None\n    for name in boxes:\n"
    "        if best is None or boxes[name].value() > boxes[best].value():\n            best = name\n    return best"
)
_EMPTY = "for name in list(boxes):\n    if boxes[name].value() < {k}:\n        del boxes[name]\nreturn sorted(boxes)"
_SMALL = (
    "values = sorted(box.value() for box in boxes.values())\nwhile values and values[0] < {k}:\n"
    "    values.pop(0)\nreturn values"
)
_MEAN = (
    "def pick(boxes):\n    values = [box.value() for box in boxes.values()]\n"
    "    return sum(values) // len(values) if values else 0"
)
_FIND = (
    "def pick(boxes):\n    for name in sorted(boxes):\n        if boxes[name].value() > {k}:\n            return name\n"
    '    return ""'
)
_LOOK = 'def pick(boxes):\n    try:\n        return boxes["a"].value()\n    except KeyError:\n        return {k}'
_TEXT = 'return "/".join(name + str(boxes[name].value()) for name in sorted(boxes))'
_FALLS = (
    "values = [box.value() for box in boxes.values()]\nn = 0\nfor i in range(len(values) - 1):\n"
    "    if values[i + 1] < values[i]:\n        n += 1\nreturn n"
)

REPORTS: tuple[Operation, ...] = (
    plain("say_value", "the value", SINGLE, RESULT, "return box.value()"),
    plain("say_pair", "a pair of {k} and the value", SINGLE, RESULT, "return {k}, box.value()", k=range(4)),
    plain("say_list", "a list of the value", SINGLE, RESULT, "return [box.value()]"),
    erring("say_text", "the value after an equals sign", SINGLE, RESULT, 'return "=" + str(box.value())',
           wrong=[('return "=" + box.value()', 0.6)]),
    erring("say_bounded", "the value, at most {k}", SINGLE, RESULT, "return min(box.value(), {k})",
           wrong=[("return max(box.value(), {k})", 0.3), ("return min(box, {k})", 0.1)], k=range(4, 8)),
    erring("say_sign", "the sign of the value", SINGLE, RESULT,
           'value = box.value()\nif value < 0:\n    return "minus"\nif value > 0:\n    return "plus"\nreturn "zero"',
           wrong=[('value = box.value()\nif value < 0:\n    return "minus"\nif value > 0:\n    return "plus"', 0.3),
                  ('if box.total < 0:\n    return "minus"\nif box.total > 0:\n    return "plus"\nreturn "zero"', 0.2)]),
    erring("report_dict", "names with their values", REPORT, RESULT,
           "return {name: box.value() for name, box in boxes.items()}",
           wrong=[("return {name: box.value() for name, box in boxes}", 0.2)]),
    plain("report_pairs", "pairs of a name and its value, sorted", REPORT, RESULT,
          "return sorted((name, box.value()) for name, box in boxes.items())"),
    plain("report_values", "the values, sorted", REPORT, RESULT,
          "return sorted(box.value() for box in boxes.values())"),
    plain("report_above_count", "how many values are above {k}", REPORT, RESULT,
          "return sum(box.value() > {k} for box in boxes.values())", k=range(1, 5)),
    erring("report_above", "the sorted names of values above {k}", REPORT, RESULT,
           "return sorted(name for name, box in boxes.items() if box.value() > {k})",
           wrong=[("return sorted(name for name, box in boxes.items() if box.value() >= {k})", 0.55),
                  ("return sorted(name for name, box in boxes.items() if box > {k})", 0.05)], k=range(1, 5)),
    ambiguous("report_best", "the name of the largest value", REPORT, RESULT,
              (_BEST, 0.55, 0.35), (_BEST.replace("in boxes:", "in sorted(boxes):"), 0.15, 0.65),
              (_BEST.replace("best is None or ", "").replace("None", '""'), 0.3, 0.0)),
    erring("report_sum", "the sum of the values", REPORT, RESULT, "return sum(box.value() for box in boxes.values())",
           wrong=[("return sum(boxes.values())", 0.35), ("return sum(box.value() for box in boxes)", 0.1)]),
    ambiguous("report_look", "the value of a", REPORT, RESULT,
              ('return boxes["a"].value() if "a" in boxes else 0', 0.3, 0.6),
              ('return boxes["a"].value() if "a" in boxes else -1', 0.1, 0.4), ('return boxes["a"].value()', 0.6, 0.0)),
    erring("report_try", "the value of a, or {k}", REPORT, RESULT, _LOOK,
           wrong=[(_LOOK.replace("KeyError", "IndexError"), 0.4),
                  (_LOOK.replace('boxes["a"]', 'boxes.get("a")'), 0.15)], k=range(3)),
    ambiguous("report_ranked", "the names in the order of their values", REPORT, RESULT,
              ("return sorted(boxes, key=lambda name: boxes[name].value())", 0.7, 0.35),
              ("return sorted(boxes, key=lambda name: -boxes[name].value())", 0.3, 0.65)),
    erring("report_text", "each name with its value as text, joined by slashes", REPORT, RESULT, _TEXT,
           wrong=[(_TEXT.replace("str(boxes[name].value())", "boxes[name].value()"), 0.6)]),
    erring("report_left", "the sorted names left after values below {k} are deleted", REPORT, RESULT, _EMPTY,
           wrong=[(_EMPTY.replace("list(boxes)", "boxes"), 0.7)], k=range(1, 4)),
    erring("report_large", "the sorted values from {k} on", REPORT, RESULT, _SMALL,
           wrong=[(_SMALL.replace("values and ", ""), 0.45), (_SMALL.replace("values.pop(0)", "values[1:]"), 0.2)],
                  k=range(1, 5)),
    erring("report_mean", "the average value rounded down, or 0", REPORT, RESULT, _MEAN,
           wrong=[(_MEAN.replace(" if values else 0", ""), 0.7)]),
    erring("report_find", "the first sorted name of a value above {k}, or nothing", REPORT, RESULT, _FIND,
           wrong=[(_FIND.replace('\n    return ""', ""), 0.6)], k=range(1, 5)),
    erring("report_falls", "how often a value is smaller than the one before", REPORT, RESULT, _FALLS,
           wrong=[(_FALLS.replace("len(values) - 1", "len(values)"), 0.6)]),
)
