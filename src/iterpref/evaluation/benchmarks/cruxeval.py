"""CRUXEval: what does this function return (`cruxeval-o`), or which call of it returns this (`cruxeval-i`)?

Gu et al., arXiv:2401.03065; 800 short functions, MIT. The questions are the repository's direct ones, word for word
(commit 190faf1; MIT, Copyright (c) 2023 Meta). An answer is an expression, which is run beside the
function and compared outside of it: ours is what `answer()` returns.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, PromptProtocol, each
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.records import Limits, Task, TestFile, as_messages

_VERSION = "190faf16d175b5847b0af05d937872b1fb395942"
_RELEASE = Release(
    name="cruxeval",
    version=_VERSION,
    variables=("ITERPREF_CRUXEVAL_PATH",),
    fields=("code", "input", "output", "id"),
    url=f"https://raw.githubusercontent.com/facebookresearch/cruxeval/{_VERSION}/data/cruxeval.jsonl",
)
_LIMITS = Limits(cpu_s=3.0, wall_s=12.0)  # the official harness allows three seconds on the clock
_END = "[/ANSWER]"
_OUTPUT = """\
You are given a Python function and an assertion containing an input to the function. Complete the assertion with a \
literal (no unsimplified expressions, no function calls) containing the output when executing the provided code on the \
given input, even if the function is incorrect or incomplete. Do NOT output any extra information. Provide the full \
assertion with the correct output in [ANSWER] and [/ANSWER] tags, following the examples.

[PYTHON]
def f(n):
    return n
assert f(17) == ??
[/PYTHON]
[ANSWER]
assert f(17) == 17
[/ANSWER]

[PYTHON]
def f(s):
    return s + "a"
assert f("x9j") == ??
[/PYTHON]
[ANSWER]
assert f("x9j") == "x9ja"
[/ANSWER]

[PYTHON]
{code}
assert f({input}) == ??
[/PYTHON]
[ANSWER]
"""
_INPUT = """\
You will be given a function f and an output in the form f(??) == output. Find any input such that executing f on the \
input leads to the given output. There may be multiple answers, but you should only output one. In [ANSWER] and \
[/ANSWER] tags, complete the assertion with one such input that will produce the output when executing the function.

[PYTHON]
def f(my_list):
    count = 0
    for i in my_list:
        if len(i) % 2 == 0:
            count += 1
    return count
assert f(??) == 3
[/PYTHON]
[ANSWER]
assert f(["mq", "px", "zy"]) == 3
[/ANSWER]

[PYTHON]
def f(s1, s2):
    return s1 + s2
assert f(??) == "banana"
[/PYTHON]
[ANSWER]
assert f("ba", "nana") == "banana"
[/ANSWER]

[PYTHON]
{code}
assert f(??) == {output}
[/PYTHON]
[ANSWER]
"""


Letter = Literal["i", "o"]


def _task(row: PublishedRow, letter: Letter) -> Task:
    given = "input" if letter == "o" else "output"
    asked = (_OUTPUT if letter == "o" else _INPUT).replace(f"{{{given}}}", row[given], 1)
    answer = row["output"] if letter == "o" else f"f({row['input']})"
    return Task(
        task_id=_id(row, letter),
        prompt=asked.replace("{code}", row["code"], 1),
        tests=(TestFile(path="test.py", content=f"assert answer() == {row['output']}\n"),),
        style="assert",
        entry_point="answer",
        prefix=f"{row['code']}\n",
        limits=_LIMITS,
        reference=answering(answer),
        split="test",
        origin="cruxeval",
        license="MIT",
    )


def _id(row: PublishedRow, letter: Letter) -> str:
    return f"cruxeval-{letter}/{row['id'].removeprefix('sample_')}"


def answering(expression: str) -> str:
    """The program that an expression amounts to; "" for none."""
    return f"def answer():\n    return (\n{expression}\n    )\n" if expression.strip() else ""


def _prompt(task: Task) -> str:
    return as_messages(task.prompt)[-1].content


def _output_in(task: Task, reply: str, protocol: str) -> str:
    """What follows the assertion's first `==`; asking the function itself is no answer."""
    before, sign, after = _assertion(reply).partition("==")
    expression = (after.partition("==")[0] if sign else before).strip()
    call = _prompt(task).rpartition("\nassert ")[2].partition(" == ??")[0]
    return "" if call in expression else answering(expression)


def _call_in(task: Task, reply: str, protocol: str) -> str:
    """The call that stands before the assertion's first `==`."""
    before = _assertion(reply).partition("==")[0].strip()
    _, begins, call = before.partition("assert f")
    expression = f"f{call.partition('assert f')[0].strip()}" if begins else before
    return answering(expression) if "f(" in expression else ""


def _assertion(reply: str) -> str:
    """The part of a reply that is the answer: between its marks, as far as they are there, without fences."""
    text = reply.partition("[ANSWER]")[2] if "[ANSWER]" in reply else reply
    lines = text.partition(_END)[0].split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith("```"))


def _benchmark(letter: Letter, read: Callable[[Task, str, PromptProtocol], str]) -> BenchmarkDefinition:
    return BenchmarkDefinition(
        f"cruxeval-{letter}",
        each(partial(_task, letter=letter)),
        _RELEASE,
        base_prompt=_prompt,
        base_stops=(_END,),
        read_reply=read,
        repairable=False,
        id_prefix=f"cruxeval-{letter}/",
        task_id=partial(_id, letter=letter),
    )


BENCHMARKS = (_benchmark("i", _call_in), _benchmark("o", _output_in))
