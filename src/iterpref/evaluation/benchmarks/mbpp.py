"""MBPP: all 974 tasks, the 427 sanitized ones, and EvalPlus's 378 with base inputs only or with plus inputs.

Austin et al., arXiv:2108.07732; MBPP+ v0.2.0: arXiv:2305.01210. In the first two a program is judged by the asserts of
the task, in the others by inputs and the canonical solution. The splits are those of the authors, by number; EvalPlus
took its tasks from all of them. JSON knows no tuples, sets or complex numbers, so the
inputs of some EvalPlus tasks are turned into what their programs take.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, each
from iterpref.evaluation.benchmarks.evalplus import FIELDS, VALUES, EvalPlusDataset, evalplus_tasks
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.records import Limits, Task, TestFile

_original = partial(
    Release,
    version="2021-08",
    hub="google-research-datasets/mbpp",
    revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c",
    split="train+validation+test+prompt",
)
_FULL = _original(
    name="mbpp-full",
    variables=("ITERPREF_MBPP_FULL_PATH",),
    fields=("task_id", "text", "code", "test_list", "test_setup_code"),
    other=("task_id", "test_list"),
    config="full",
)
_SANITIZED = _original(
    name="mbpp-sanitized",
    variables=("ITERPREF_MBPP_SANITIZED_PATH",),
    fields=("task_id", "prompt", "code", "test_list", "test_imports"),
    other=("task_id", "test_list", "test_imports"),
    config="sanitized",
)
_PLUS = Release(
    name="mbpp+",
    version="v0.2.0",
    variables=("ITERPREF_MBPP_PLUS_PATH", "MBPP_OVERRIDE_PATH"),
    fields=FIELDS,
    other=VALUES,
    url="https://github.com/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz",
)
_LIMITS = Limits(cpu_s=5.0, wall_s=30.0)
SPLITS = {"prompt": range(1, 11), "test": range(11, 511), "validation": range(511, 601), "train": range(601, 975)}

# Functions that return a collection in no particular order, and those of which only "found or not" is asked.
_UNORDERED = {
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum",
    "intersection_array", "find_dissimilar", "Diff",
}  # fmt: skip
_FOUND = {"check_str", "text_match_three", "text_starta_endb"}


def _asserted(row: PublishedRow, name: str) -> Task:
    """Judged by the task's own asserts: `mbpp-full` or `mbpp-sanitized`."""
    text = row.get("text") or row["prompt"]
    shown = "\n".join(row["test_list"])
    setup = "\n".join([*row.get("test_imports", ()), row.get("test_setup_code", "")]).replace("\r\n", "\n").strip("\n")
    tests = f"{setup}\n{shown}\n".lstrip("\n").replace("\r\n", "\n")
    return Task(
        task_id=_id(row),
        prompt=f'"""\n{text}\n{shown}\n"""\n',
        tests=(TestFile(path="asserts.py", content=tests),),
        style="assert",
        limits=_LIMITS,
        reference=row["code"].replace("\r\n", "\n"),
        split=split_of(_id(row)),
        origin=name,
        license="CC-BY-4.0",
    )


def _id(row: PublishedRow) -> str:
    return f"Mbpp/{row['task_id']}"


def split_of(task_id: str) -> str:
    """The authors' split of a task: `prompt` (few-shot examples), `test`, `validation` or `train`; "" of no number."""
    number = task_id.rpartition("/")[2]
    return next((name for name, ids in SPLITS.items() if number.isdecimal() and int(number) in ids), "")


def _match(entry_point: str) -> str:
    if entry_point in _UNORDERED:
        return "set"
    if entry_point in _FOUND:
        return "not_none"
    return "any" if entry_point == "are_equivalent" else "equal"  # Mbpp/164: every answer counts at EvalPlus


def _accept(entry_point: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Tasks whose text can be read in two ways: what the other reading gives."""
    if entry_point == "sum_div":  # Mbpp/295: nothing to add up
        return (0,)
    if entry_point == "surface_Area":  # Mbpp/581: `height` is that of the pyramid, not of its sides
        edge, height = values
        return (round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2)),)
    if entry_point == "digit_distance_nums":  # Mbpp/558: place by place, the shorter number filled with zeros
        one, other = map(str, values)
        width = max(len(one), len(other))
        pairs = zip(one.zfill(width), other.zfill(width), strict=True)
        if (one + other).isdigit():
            return (sum(abs(int(a) - int(b)) for a, b in pairs),)
    return ()


def _tuples(value: Any) -> list[tuple[Any, ...]]:
    return [tuple(item) for item in value]


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


Shape = Callable[[Any], Any]
# Task numbers → how every argument is to be changed, or (a tuple) how the first, second, ... is; further ones stay.
_EVERY: tuple[tuple[Shape, tuple[int, ...]], ...] = (
    (tuple, (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744,
             809)),
    (_tuples, (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)),
    (lambda value: tuple(_tuples(value)), (259, 401, 445)),
    (_deep, (580, 615, 791)),
)  # fmt: skip
_EACH: tuple[tuple[tuple[Shape, ...], tuple[int, ...]], ...] = (
    ((_tuples,), (75, 413, 444, 753)),
    ((lambda value: value, tuple), (106, 750)),
    ((lambda value: [set(item) if isinstance(item, list) and item else {} for item in value],), (115,)),
    ((float, complex), (124,)),
    ((tuple,), (250, 307, 405, 446, 617, 720, 763, 808)),
    ((complex,), (252,)),
    ((lambda value: tuple(tuple(item) if isinstance(item, list) else item for item in value),), (278,)),
    ((lambda value: {key: tuple(item) for key, item in value.items()},), (722,)),
)
_SHAPE_OF_EVERY = {number: shape for shape, numbers in _EVERY for number in numbers}
_SHAPE_OF_EACH = {number: shapes for shapes, numbers in _EACH for number in numbers}


def typed_inputs(task_id: str, inputs: Any) -> list[list[Any]]:
    """EvalPlus's inputs of an MBPP task, with the tuples, sets and complex numbers that JSON could not hold."""
    number = int(task_id.rpartition("/")[2])
    if number in _SHAPE_OF_EVERY:
        return [[_SHAPE_OF_EVERY[number](value) for value in values] for values in inputs]
    shapes = _SHAPE_OF_EACH.get(number, ())
    return [[*(s(v) for s, v in zip(shapes, values, strict=False)), *values[len(shapes) :]] for values in inputs]


_BASE = EvalPlusDataset("mbpp", typed_inputs, _match, _accept, plus=False, license="Apache-2.0")
_define = partial(
    BenchmarkDefinition, protocol="chat", base_stops=('\n"""', "\nassert"), id_prefix="mbpp", split_of=split_of
)
_asserts = partial(_define, task_id=_id, validation_split="validation")
BENCHMARKS = (
    _define("mbpp", partial(evalplus_tasks, dataset=_BASE), _PLUS),
    _define("mbpp+", partial(evalplus_tasks, dataset=replace(_BASE, name="mbpp+", plus=True)), _PLUS),
    _asserts("mbpp-sanitized", each(partial(_asserted, name="mbpp-sanitized")), _SANITIZED),
    _asserts("mbpp-full", each(partial(_asserted, name="mbpp-full")), _FULL),
)
