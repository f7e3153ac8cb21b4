"""Questions of the user's own: a folder of templates, each in the place of the shipped one of its name.

A template that can't be used is refused when the folder is read, before any call: it is filled in once with examples.
Templates run in Jinja's sandbox, for a recipe may come from elsewhere. Not here: what must be in a reply; a template
has to ask for the same parts as the shipped one.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from iterpref.errors import ConfigError
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import FailingCase, Message, TestFile, fingerprint


@dataclass(frozen=True)
class Wording:
    """A question that may be worded otherwise: an example of each placeholder, and those that it can't do without; of
    alternatives, written `a|b`, one."""

    example: Mapping[str, Any]
    needs: tuple[str, ...]


_CASE = FailingCase(call="f(1)", got="2", expected="3")
_TESTS = (TestFile(path="test_solution.py", content="assert f(1) == 3"),)
QUESTIONS: dict[str, Wording] = {
    "draft_task": Wording(
        {
            "features": "{}",
            "mandatory": "sorting",
            "code": "x = 1",
            "form": "function",
            "tests": "unittest",
            "packages": ("numpy",),
        },
        ("features|code",),
    ),
    "draft_tests": Wording(
        {"instruction": "Write f(x).", "tests": "unittest", "packages": ("numpy",)}, ("instruction",)
    ),
    "extract_features": Wording({"code": "x = 1", "categories": ["algorithm"]}, ("code",)),
    "evolve_features": Wording({"tree": "{}"}, ("tree",)),
    "repair": Wording({"feedback": "f(1) returned 2, expected 3"}, ("feedback",)),
    "judge_difference": Wording(
        {"task": "Write f(x).", "rejected": "x = 1", "chosen": "x = 2"}, ("rejected", "chosen")
    ),
    "judge_tests": Wording(
        {"task": "Write f(x).", "solution": "x = 1", "tests": "assert f(1) == 3"}, ("task", "tests")
    ),
    "judge_contradiction": Wording({"task": "Write f(x).", "tests": _TESTS, "case": _CASE}, ("task", "tests", "case")),
}


@dataclass(frozen=True)
class _Own:
    path: Path
    text: str
    template: Template
    uses: frozenset[str]


@dataclass(frozen=True)
class Prompts:
    """The questions put to models: those of a folder, the shipped ones for the rest."""

    _own: Mapping[str, _Own] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | Path | None) -> Self:
        """The templates `NAME.jinja` of a folder; None: the shipped ones.

        Raises:
            ConfigError: No such folder, none of these names in it, or a template with another name, with a placeholder
                that its question doesn't have, without one that it needs, or that can't be filled in.
        """
        if folder is None:
            return cls()
        place = Path(folder)
        if not place.is_dir():
            raise ConfigError(f"prompts: {folder}: expected a folder of templates, found none")
        paths = sorted(place.glob("*.jinja"))
        if not paths:
            raise ConfigError(f"prompts: {folder} holds no template; expected some of {_files()}")
        return cls({path.stem: _read(path) for path in paths})

    def render(self, name: str, **values: Any) -> str:
        """The text of question `name`.

        Raises:
            ConfigError: The user's template can't be filled in with these values.
        """
        own = self._own.get(name)
        return _filled(own.path, own.template, values) if own else render(name, **values)

    def repair_turns(self, program: str, completion: str, feedback: str) -> tuple[Message, Message]:
        """What follows a task that was answered wrong: the program (else the reply), and what its tests said."""
        shown = fenced(program) if program else completion
        asked = self.render("repair", feedback=feedback)
        return Message(role="assistant", content=shown), Message(role="user", content=asked)

    def identity(self, name: str) -> str:
        """What a question's wording adds to an identity; "" for the shipped one, and for a copy of it."""
        own = self._own.get(name)
        return fingerprint([own.text]) if own and own.text.strip() != _shipped(name).strip() else ""

    def need(self, name: str, placeholder: str, why: str) -> None:
        """ConfigError where the user's template leaves out what these settings are about."""
        own = self._own.get(name)
        if own and placeholder not in own.uses:
            raise ConfigError(f"{own.path}: without {{{{ {placeholder} }}}}, which it needs: {why}")


SHIPPED = Prompts()


def _shipped(name: str) -> str:
    return files("iterpref.prompts").joinpath(f"{name}.jinja").read_text(encoding="utf-8")


def _files() -> str:
    return ", ".join(f"{name}.jinja" for name in QUESTIONS)


def _read(path: Path) -> _Own:
    question = QUESTIONS.get(path.stem)
    if question is None:
        near = difflib.get_close_matches(path.stem, QUESTIONS, n=1)
        advice = f"did you mean {near[0]}.jinja?" if near else f"there are {_files()}"
        raise ConfigError(f"{path}: no question has this name; {advice}")
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # prompts are not HTML
    try:
        text = path.read_text(encoding="utf-8")
        uses = frozenset(meta.find_undeclared_variables(environment.parse(text)))
        template = environment.from_string(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't read this template ({error})") from None
    except TemplateError as error:
        line = f"line {error.lineno}: " if getattr(error, "lineno", None) else ""  # type: ignore[attr-defined]
        raise ConfigError(f"{path}: {line}no Jinja template ({error})") from None
    _check(path, question, uses)
    _filled(path, template, question.example)
    return _Own(path, text, template, uses)


def _check(path: Path, question: Wording, uses: frozenset[str]) -> None:
    known = ", ".join(question.example)
    if unknown := sorted(uses - question.example.keys()):
        raise ConfigError(f"{path}: {{{{ {unknown[0]} }}}} is no placeholder of this question; it has {known}")
    for need in question.needs:
        if not uses & set(need.split("|")):
            said = " or ".join(f"{{{{ {name} }}}}" for name in need.split("|"))
            raise ConfigError(f"{path}: without {said}, which this question needs; placeholders: {known}")


def _filled(path: Path, template: Template, values: Mapping[str, Any]) -> str:
    try:
        text = template.render(**values).strip()
    except Exception as error:  # whatever an expression in it does
        raise ConfigError(
            f"{path}: can't be filled in ({type(error).__name__}: {error}); correct the template"
        ) from None
    if not text:
        raise ConfigError(f"{path}: asks nothing: it is empty once filled in")
    return text
