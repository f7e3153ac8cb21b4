"""What `measure`, `answers` and `run_script` give ⇄ JSON, for the service and its client."""

from dataclasses import asdict
from typing import Any

from iterpref.records import Execution

from .. import CallResults, Measured, ScriptRun
from ..inside.values.codec import decode, encode
from ..inside.values.stand_ins import Iterated

Form = dict[str, Any]


def measured_form(measured: Measured) -> Form:
    execution = measured.execution.model_dump(mode="json")
    return {"execution": execution, "arcs": sorted(measured.arcs), "problem": measured.problem}


def read_measured(form: Form) -> Measured:
    arcs = frozenset((int(start), int(stop)) for start, stop in form["arcs"])
    return Measured(Execution.model_validate(form["execution"]), arcs, str(form["problem"]))


def answers_form(answers: CallResults) -> Form:
    """Exact: what stands for a value that can't travel arrives as the same stand-in."""
    values = [
        {"it": [encode(item) for item in value]} if isinstance(value, Iterated) else encode(value)
        for value in answers.values
    ]
    return {"values": values, "cpu_s": answers.cpu_s, "problem": answers.problem}


def read_answers(form: Form) -> CallResults:
    return CallResults(tuple(map(decode, form["values"])), float(form["cpu_s"]), str(form["problem"]))


def script_form(script: ScriptRun) -> Form:
    return asdict(script)


def read_script(form: Form) -> ScriptRun:
    return ScriptRun(**form)
