"""Each public docstring has the parts that a caller needs: what goes in and out, units, shapes, errors, source."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

import iterpref
from iterpref.training import methods

FUNCTIONS = [name for name in iterpref.__all__ if inspect.isroutine(getattr(iterpref, name))]
RECORDS = [
    name
    for name in iterpref.__all__
    if inspect.isclass(getattr(iterpref, name))
    and (issubclass(getattr(iterpref, name), BaseModel | tuple) or name == "OpenedRun")
]
OTHER_CLASSES = ["Sandbox", "CodeReward", "FocalDPOTrainer"]
# How many of what there are, and in which order.
SHAPES = {
    "ChangedSpans": "One half-open range",
    "CodeReward": "B completions → B rewards",
    "Comparison": "of T tasks",
    "FocalDPOTrainer": r"\(2B, L\)",
    "Result": "n per task",
    "Span": r"\[`start`, `stop`\)",
    "changed_spans": "R spans",
    "debug_with": "N trajectories, in the order of the tasks",
    "focal_dataset": "N rows",
    "read_pairs": "N rows",
    "score_samples": "n samples of each task",
}
# Where the method, a measure or a test comes from.
PAPER = "arXiv:2503.02783"
SOURCES = {
    **dict.fromkeys(
        ["ChangedSpans", "Execution", "FocalDPOConfig", "FocalDPOTrainer", "METHODS", "PreferencePair", "Trajectory",
         "changed_spans", "debug_with", "focal_dataset", "focal_pairs", "read_pairs", "train"], PAPER),
    "CodeReward": "arXiv:2402.03300",
    **dict.fromkeys(["Comparison", "compare"], "Efron 1979"),
    **dict.fromkeys(["Result", "score_samples"], "arXiv:2107.03374"),
}  # fmt: skip
UNITS = {"_s": "seconds", "_bytes": "bytes", "seconds": "seconds"}


def doc(name: str) -> str:
    return inspect.getdoc(getattr(iterpref, name)) or ""


def section(text: str, title: str) -> str:
    """The indented lines under `Title:`; "" where there is none."""
    found = re.search(rf"^{title}:\n((?:    .*\n?|\n)+)", text, re.MULTILINE)
    return found[1] if found else ""


def parameters(of: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(of).parameters if name not in ("self", "args_", "cls")]


def fields_of(kind: type) -> list[str]:
    if issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return list(getattr(kind, "_fields", ())) or [field.name for field in dataclasses.fields(kind)]


def test_the_face_is_covered() -> None:
    rest = {"FocalDPOConfig", "METHODS", "IterPrefError", "Store"}
    assert {*FUNCTIONS, *RECORDS, *OTHER_CLASSES, *rest} == set(iterpref.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_arguments_results_and_errors(name: str) -> None:
    text, function = doc(name), getattr(iterpref, name)
    for parameter in parameters(function):
        assert re.search(rf"^    {parameter}: ", section(text, "Args"), re.MULTILINE), f"{parameter} is not explained"
    manager = hasattr(function, "__wrapped__")  # a context manager says in its first line what it is
    assert manager or section(text, "Returns").strip()
    assert re.search(r"^    [A-Z]\w+(, \w+)*: ", section(text, "Raises"), re.MULTILINE)


@pytest.mark.parametrize("name", OTHER_CLASSES)
def test_classes_say_arguments_and_errors(name: str) -> None:
    text, kind = doc(name), getattr(iterpref, name)
    for parameter in parameters(kind.__init__):
        assert re.search(rf"^    {parameter}: ", section(text, "Args"), re.MULTILINE), f"{parameter} is not explained"
    assert section(text, "Raises").strip()


@pytest.mark.parametrize("name", RECORDS)
def test_records_say_each_field(name: str) -> None:
    kind, text = getattr(iterpref, name), doc(name)
    missing = [field for field in fields_of(kind) if f"`{field}`" not in text]
    assert missing == (["answers_since"] if name == "OpenedRun" else [])  # not promised


@pytest.mark.parametrize("name", [*FUNCTIONS, *RECORDS, *OTHER_CLASSES])
def test_quantities_have_units(name: str) -> None:
    thing, text = getattr(iterpref, name), doc(name)
    names = fields_of(thing) if name in RECORDS else parameters(thing if name in FUNCTIONS else thing.__init__)
    for ending, unit in UNITS.items():
        if any(part.endswith(ending) for part in names):
            assert unit in text, f"{name} has a quantity in {unit} and doesn't say so"


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    assert re.search(SHAPES[name], doc(name))


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str) -> None:
    text = doc(name) if name != "METHODS" else inspect.getsource(methods).split('\n}\n"""', 1)[1]
    assert SOURCES[name] in text


def test_every_setting_of_a_training_has_its_help() -> None:
    for field in dataclasses.fields(iterpref.FocalDPOConfig):
        if field.name in iterpref.FocalDPOConfig.__annotations__:
            assert len(field.metadata["help"]) > 20, field.name
    assert section(doc("FocalDPOConfig"), "Raises").strip()


def test_errors_and_the_store_say_what_they_are() -> None:
    assert "user can act on" in doc("IterPrefError")
    promised = ["tasks", "trajectories", "pairs", "results", "put_tasks"]
    assert [name for name in promised if f"`{name}`" not in doc("Store")] == []
    assert section(doc("Store"), "Raises").strip()
