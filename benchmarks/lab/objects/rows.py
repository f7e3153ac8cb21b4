"""How rows are read and walked: missing keys, short rows, text that is no number; bounds and updates of loops.

Notation: parts.py and the playground's operations.
"""

from benchmarks.lab.objects.parts import BOX, GROUP, WALK, erring

from iterpref.playground.operations import Operation, ambiguous, plain

_TRY_DICT = (
    'def read(row):\n    try:\n        return row["name"], row["amount"]\n    except KeyError:\n'
    '        return row["name"], {k}'
)
_TRY_ROW = "def read(row):\n    try:\n        return row[0], row[1]\n    except IndexError:\n        return row[0], {k}"
_PARSE = (
    'def read(row):\n    name, _, text = row.partition(" ")\n    try:\n        return name, int(text)\n'
    "    except ValueError:\n        return name, 0"
)
_SPLIT = (
    "parts = row.split()\nif len(parts) < 2 or not parts[1].isdigit():\n    continue\n"
    "name, amount = parts[0], int(parts[1])"
)
_REPEATS = (
    "def read(row):\n    n = 0\n    while n < len(row) and row[n] == row[0]:\n        n += 1\n"
    "    return row[:1], n"
)
_VOWELS = (
    'def read(row):\n    n = 0\n    while "a" in row:\n        row = row.replace("a", "", 1)\n        n += 1\n'
    "    return row[:1], n"
)

READ: tuple[Operation, ...] = (
    erring("dict_zero", "a missing amount is 0", "dicts", BOX,
           'name, amount = row["name"], row.get("amount", 0)',
           wrong=[('name, amount = row["name"], row["amount"]', 0.55),
                  ('name, amount = row["name"], row.get("amount")', 0.1)]),
    erring("dict_skip", "rows without an amount don't count", "dicts", BOX,
           'if "amount" not in row:\n    continue\nname, amount = row["name"], row["amount"]',
           wrong=[('if not row.get("amount"):\n    continue\nname, amount = row["name"], row["amount"]', 0.7)]),
    erring("dict_try", "read(row) gives {k} for a missing amount", "dicts", BOX, _TRY_DICT,
           wrong=[(_TRY_DICT.replace("KeyError", "IndexError"), 0.6)], k=range(1, 4)),
    ambiguous("dict_open", "an amount may be missing", "dicts", BOX,
              ('name, amount = row["name"], row.get("amount", 0)', 0.8, 0.4),
              ('name, amount = row["name"], row.get("amount", 1)', 0.2, 0.6)),
    plain("dict_length", "the amount is the name's length", "dicts", BOX,
          'name, amount = row["name"], len(row["name"])'),
    plain("pair", "all have both", "pairs", BOX, "name, amount = row"),
    plain("pair_read", "read(row) gives both", "pairs", BOX,
          "def read(row):\n    name, amount = row\n    return name, amount"),
    erring("pair_size", "read(row) gives the amount's size", "pairs", BOX,
           "def read(row):\n    name, amount = row\n    return name, abs(amount)",
           wrong=[("def read(row):\n    name, amount = row\n    return abs(amount), name", 0.15),
                  ("def read(row):\n    name, amount = row\n    amount = abs(amount)", 0.2)]),
    erring("ragged_zero", "a missing amount is 0", "ragged", BOX,
           "name = row[0]\namount = row[1] if len(row) > 1 else 0",
           wrong=[("name, amount = row", 0.4), ("name = row[0]\namount = row[1]", 0.25)]),
    plain("ragged_size", "the amount is how many parts a row has", "ragged", BOX, "name, amount = row[0], len(row)"),
    erring("ragged_try", "read(row) gives {k} for a missing amount", "ragged", BOX, _TRY_ROW,
           wrong=[(_TRY_ROW.replace("IndexError", "KeyError"), 0.65)], k=range(1, 4)),
    erring("long_sum", "amounts of a row are added", "long", BOX, "name, amount = row[0], sum(row[1:])",
           wrong=[("name, amount = row[0], sum(row)", 0.3), ("name, amount = row", 0.1)]),
    plain("long_size", "the amount is how many amounts a row has", "long", BOX, "name, amount = row[0], len(row) - 1"),
    ambiguous("long_one", "one amount of a row counts, else 0", "long", BOX,
              ("name, amount = row[0], row[1] if len(row) > 1 else 0", 0.25, 0.4),
              ("name, amount = row[0], row[-1] if len(row) > 1 else 0", 0.25, 0.6),
              ("name, amount = row[0], row[-1]", 0.5, 0.0)),
    plain("line_length", "the amount is the line's length, the name its first letter", "lines", BOX,
          "name, amount = row[:1], len(row)"),
    erring("line_parse", "read(row) gives 0 without a number", "lines", BOX, _PARSE,
           wrong=[(_PARSE.replace("ValueError", "TypeError"), 0.55), (_PARSE.replace("int(text)", "text"), 0.1)]),
    erring("line_skip", "lines without a plain number don't count", "lines", BOX, _SPLIT,
           wrong=[(_SPLIT.replace("len(parts) < 2 or ", ""), 0.5),
                  (_SPLIT.replace(" or not parts[1].isdigit()", ""), 0.2)]),
    erring("word_length", "a word's name is its first letter, its amount its length", "words", BOX,
           "name, amount = row[:1], len(row)", wrong=[("name, amount = row[0], len(row)", 0.65)]),
    plain("word_letters", "a word's name is its last letter, its amount how many a it has", "words", BOX,
          'name, amount = row[-1:], row.count("a")'),
    erring("word_repeats", "read(row) gives the first letter and how often it is repeated at the start", "words", BOX,
           _REPEATS, wrong=[(_REPEATS.replace("n < len(row) and ", ""), 0.35)]),
    erring("word_counts", "read(row) takes each a out, and gives the first letter left and their number", "words", BOX,
           _VOWELS, wrong=[(_VOWELS.replace('row = row.replace("a", "", 1)', 'row.replace("a", "", 1)'), 0.55)]),
)

_SKIP = "<read>\n    if amount < 0:\n        continue\n    "
_SKIP_BY_INDEX = "i = 0\nwhile i < len(rows):\n    row = rows[i]\n    i += 1\n    " + _SKIP + "<group>"
_BY_INDEX = "i = 0\nwhile i < len(rows):\n    row = rows[i]\n    i += 1\n    <read>\n    <group>"
_STOP = "for row in rows:\n    <read>\n    if amount == 0:\n        break\n    <group>"
_CHANGES = (
    "last = None\nfor row in rows:\n    if row == last:\n        continue\n    last = row\n"
    "    <read>\n    <group>"
)
_FIRSTS = (
    "done = set()\nfor row in rows:\n    <read>\n    if name in done:\n        continue\n"
    "    done.add(name)\n    <group>"
)


def _each(rows: str) -> str:
    return f"for row in {rows}:\n    <read>\n    <group>"


def _until_empty(row: str) -> str:
    return f"while rows:\n    row = {row}\n    <read>\n    <group>"


WALKS: tuple[Operation, ...] = (
    plain("walk_all", "Go through the rows", WALK, GROUP, _each("rows")),
    erring("walk_index", "Go through the rows by index", WALK, GROUP, _BY_INDEX,
           wrong=[(_BY_INDEX.replace("    i += 1\n", ""), 0.2), (_BY_INDEX.replace("i < len", "i <= len"), 0.2)]),
    erring("walk_rest", "Leave out the first row", WALK, GROUP, _each("rows[1:]"), wrong=[(_each("rows[:-1]"), 0.3)]),
    plain("walk_body", "Leave out the last row", WALK, GROUP, _each("rows[:-1]")),
    plain("walk_twice", "Go through the rows twice", WALK, GROUP, _each("rows + rows"), _each("rows * 2")),
    erring("walk_back", "Go from the last row to the first", WALK, GROUP, _each("rows[::-1]"), _each("reversed(rows)"),
           wrong=[(_each("rows.reverse()"), 0.3)]),
    ambiguous("walk_second", "Take every second row", WALK, GROUP,
              (_each("rows[::2]"), 0.75, 0.35), (_each("rows[1::2]"), 0.25, 0.65)),
    erring("walk_first", "Take the first {k} rows", WALK, GROUP, _each("rows[:{k}]"),
           wrong=[("for i in range({k}):\n    row = rows[i]\n    <read>\n    <group>", 0.65)], k=(2, 3)),
    erring("walk_stop", "Stop at an amount of 0", WALK, GROUP, _STOP,
           wrong=[(_STOP.replace("break", "continue"), 0.6)]),
    erring("walk_skip", "Skip negative amounts", WALK, GROUP, f"for row in rows:\n    {_SKIP}<group>",
           wrong=[(f"for row in rows:\n    {_SKIP}<group>".replace("continue", "break"), 0.3)]),
    erring("walk_index_skip", "By index, skip negative amounts", WALK, GROUP, _SKIP_BY_INDEX,
           wrong=[(_SKIP_BY_INDEX.replace("    i += 1\n", "") + "\n    i += 1", 0.65)]),
    erring("walk_changes", "Skip a row equal to the one before", WALK, GROUP, _CHANGES,
           wrong=[(_CHANGES.replace("    last = row\n", ""), 0.35)]),
    erring("walk_firsts", "Take the first row of each name", WALK, GROUP, _FIRSTS,
           wrong=[(_FIRSTS.replace("done.add", "done.append"), 0.3)]),
    ambiguous("walk_queue", "Take rows off until none is left", WALK, GROUP,
              (_until_empty("rows.pop()"), 0.4, 0.4), (_until_empty("rows.pop(0)"), 0.15, 0.6),
              (_until_empty("rows[0]"), 0.45, 0.0)),
)
