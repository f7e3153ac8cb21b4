"""How a benchmark's task is put to a model, and how the reply becomes a program.

`plain`: the task's prompt as a user's turn; the program is the reply's code block. `chat`: EvalPlus's and
BigCodeBench's: the prompt in a fence after an instruction, and the assistant's turn begun up to an open code fence.
`base`: for models without a chat template: the prompt as it is, continued, with stop sequences (a local model, or an
endpoint's `completions`); a prompt that is no beginning of a program becomes the docstring before one, which is
EvalPlus's form of MBPP. A benchmark may have a form of its own for base models, and a way of its own to read replies.
Sources: evalplus 0.3.1 (`codegen`, `provider.utility`), bigcodebench 0.2.5; the words of the instructions are part of
these protocols and are theirs.
"""

import re
from dataclasses import dataclass
from typing import Literal

from iterpref.errors import ConfigError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, PromptProtocol
from iterpref.evaluation.sanitize import sanitize
from iterpref.programs import extract, extract_program
from iterpref.records import Message, Task, as_messages

FENCE_STOP = "\n```\n"
_INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
)
_RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:"
)
_ENDS = ("<|endoftext|>", "<|endofmask|>", "</s>")
_STOPS = (*_ENDS, "\nif __name__", "\ndef main(", "\nprint(")
_OPENING = re.compile(r"^```(?:python|py)\b", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What goes to the model. `raw`: the one message's text without any chat template."""

    messages: tuple[Message, ...]
    stop: tuple[str, ...] = ()
    raw: bool = False


def chosen(definition: BenchmarkDefinition, setting: Literal["auto"] | PromptProtocol) -> PromptProtocol:
    """The protocol that `evaluation.protocol` asks for."""
    return definition.protocol if setting == "auto" else setting


def ask(task: Task, definition: BenchmarkDefinition, protocol: PromptProtocol) -> Asked:
    """The messages and stop sequences for a task; ConfigError if the benchmark has no such protocol."""
    if protocol == "plain":
        return Asked(as_messages(task.prompt))
    if protocol == "base" and definition.base_prompt:
        shown = Message(role="user", content=definition.base_prompt(task))
        return Asked((shown,), (*_ENDS, *definition.base_stops), raw=True)
    begun = isinstance(task.prompt, str) and definition.begins_programs
    if protocol == "base" and not begun:
        return _after_a_docstring(task)
    if not isinstance(task.prompt, str) or not begun:
        name = definition.name
        raise ConfigError(
            f"evaluation.protocol is {protocol}, which {name} benchmarks don't have; expected plain or base"
        )
    prompt = task.prompt.strip() + "\n"
    if protocol == "base":
        return Asked((Message(role="user", content=prompt),), (*_STOPS, *definition.base_stops), raw=True)
    question = f"{_INSTRUCTION}\n```\n{task.prompt.strip()}\n```\n"
    answer = f"{_RESPONSE}\n```python\n"
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Asked(turns, (*_STOPS, FENCE_STOP))


def _after_a_docstring(task: Task) -> Asked:
    """The prompt as what stands before a program: in a docstring, or where it holds one in comments."""
    text = "\n\n".join(message.content for message in as_messages(task.prompt)).strip()
    if '"""' in text or text.endswith(("\\", '"')):
        before, stop = "".join(f"# {line}".rstrip() + "\n" for line in text.split("\n")), "\n# "
    else:
        before, stop = f'"""\n{text}\n"""\n', '\n"""'
    own = _ENDS if task.style == "stdio" else _STOPS  # a program that reads and prints does so at its top level
    return Asked((Message(role="user", content=before),), (*own, stop, "\nassert "), raw=True)


def program_of(task: Task, completion: str, protocol: PromptProtocol, definition: BenchmarkDefinition) -> str:
    """What the reply says, cut down to what the entry point needs, or read as the benchmark reads it."""
    if definition.read_reply:
        return definition.read_reply(task, completion, protocol)
    begun = definition.begins_programs
    if protocol == "plain":
        return extract_program(completion, task.entry_point)
    text = completion.replace("\t", "    ")
    if protocol == "base" and not (begun and isinstance(task.prompt, str)):
        return extract_program(text) if task.style == "stdio" else sanitize(text, task.entry_point)
    if protocol == "base":
        text = f"{task.prompt}".strip() + "\n" + text
    elif _OPENING.search(text):  # an endpoint that began its answer anew instead of continuing ours
        return sanitize(text, task.entry_point)
    else:  # the prefilled fence is open; whatever is after a closing one is prose
        text = text.split("\n```")[0]
    return sanitize(text, task.entry_point)


def is_open(task: Task, completion: str, protocol: PromptProtocol) -> bool:
    """Whether nothing ended the program before the reply did: see `programs.Extracted`. A continuation has no fence."""
    if protocol == "chat" and not _OPENING.search(completion):
        return "\n```" not in completion
    return protocol == "base" or extract(completion, task.entry_point).open
