"""What there is to say about a benchmark, in one place: `BenchmarkDefinition`. Each file beside this one fills in some.

To add a benchmark: a file here whose `BENCHMARKS` holds its definitions, and the file's name in registry.py. A
published one maps the rows of its release to tasks; everything else has a default that means "nothing special".

    BENCHMARKS = (BenchmarkDefinition("toy", each(_task), release=Release("toy", ...), id_prefix="toy/"),)
"""

import ast
import difflib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from iterpref.config import Config, ImportingConfig
from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.programs import length_label, syntax_tree, without_docstrings
from iterpref.records import Task
from iterpref.sandbox.remote import AnySandbox
from iterpref.section import Section

PromptProtocol = Literal["plain", "chat", "base"]


@dataclass(frozen=True)
class TaskChoice:
    """Which tasks of a benchmark: the first `limit` of a split (None: of all; in the playground of `held_out`).

    `options` are what only this benchmark understands, such as LiveCodeBench's `since`; `seed` is the playground's;
    `form` says which columns a file of the user's has.
    """

    split: str | None = None
    limit: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    form: ImportingConfig = field(default_factory=ImportingConfig)

    @classmethod
    def of(cls, config: Config) -> "TaskChoice":
        """What a configuration's `evaluation` asks for."""
        settings = config.evaluation
        return cls(settings.split, settings.tasks, settings.options, config.seed, config.importing)


class BenchmarkOptions(Section):
    """Keys of `evaluation.options` that a benchmark understands: none."""

    def chooses(self, row: PublishedRow) -> bool:
        """Whether a published row becomes a task."""
        return True


class Material(NamedTuple):
    """What tasks are made from: published rows, as many as asked for; the choice, for tasks made here or in a file."""

    rows: list[PublishedRow]
    choice: TaskChoice
    path: str | None
    sandbox: AnySandbox | None


class MadeTasks(NamedTuple):
    """Tasks in their own order, why others can't be judged here, by their ids, and what gives the ids of the tasks that
    were not chosen (published rows aside)."""

    tasks: list[Task]
    broken: dict[str, str]
    outside: Callable[[], frozenset[str]] = frozenset


def by_reference(task: Task) -> str:
    """How hard a task is, where its publishers don't say: the lines of its reference, docstrings and comments aside.

    A proxy, and named as one (`reference: 6-10 lines`); "" without a reference.
    """
    program = task.reference or ""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):  # not Python: as it is written
        program = ast.unparse(without_docstrings(syntax_tree(program)))
    lines = sum(1 for line in program.split("\n") if line.strip())
    return f"reference: {length_label(lines)}" if task.reference else ""


@dataclass(frozen=True)
class BenchmarkDefinition:
    """A benchmark under one name.

    Args:
        release: Where its rows are published; None for tasks that are made here or come from the user's file.
        protocol: The one its publishers use for chat models.
        base_stops: Where a completion of its prompt ends, besides what ends any; without these, or with a
            `base_prompt`, its prompts begin no program, and it has no `chat`.
        base_prompt: What a base model continues, where its publishers have a form of their own for it.
        read_reply: (task, reply, protocol) → the program in a reply; None: as `protocols.program_of` says.
        repairable: Whether a model may be told which test failed; not where that is the answer.
        public_tests: The test files whose cases the prompt shows.
        id_prefix: What its tasks' ids begin with, in lower case, so that they are known wherever they turn up.
        difficulty: What its publishers call a task, "" if nothing.
        split_of: Task id → the split that its publishers put it in; None where they know one only.
        validation_split: Tasks of it that may choose among checkpoints; "" where it only measures finished models.
        preflight: Whether canonical solutions are to run before any model's.
        task_id: The id of the task that a published row becomes.
    """

    name: str
    make: Callable[[Material], MadeTasks]
    release: Release | None = None
    protocol: PromptProtocol = "plain"
    base_stops: tuple[str, ...] = ()
    base_prompt: Callable[[Task], str] | None = None
    read_reply: Callable[[Task, str, PromptProtocol], str] | None = None
    repairable: bool = True
    public_tests: tuple[str, ...] = ()
    id_prefix: str = ""
    difficulty: Callable[[Task], str] = by_reference
    options: type[BenchmarkOptions] = BenchmarkOptions
    split_of: Callable[[str], str] | None = None
    validation_split: str = ""
    preflight: bool = True
    task_id: Callable[[PublishedRow], str] = lambda row: str(row.get("task_id", row.get("question_id")))

    @property
    def begins_programs(self) -> bool:
        """Whether its prompts are beginnings of programs."""
        return bool(self.base_stops) and self.base_prompt is None

    @property
    def version(self) -> str:
        """Of the release, as its publishers write it; "" for tasks of one's own."""
        return self.release.version if self.release else ""

    def in_split(self, row: PublishedRow, split: str | None) -> bool:
        """Whether a published row is of a split; all are where there is but one, or none is asked for."""
        return self.split_of is None or split is None or self.split_of(self.task_id(row)) == split

    def read_options(self, values: Mapping[str, Any]) -> BenchmarkOptions:
        """The `evaluation.options`; ConfigError for a key that it doesn't have, or a value that can't be used."""
        try:
            return self.options.model_validate(dict(values))
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"]))
            if problem["type"] != "extra_forbidden":
                raise ConfigError(f"evaluation.options.{key}: {problem['msg']}, got {problem['input']!r}") from None
            keys = list(self.options.model_fields)
            near = difflib.get_close_matches(key, keys, n=1)
            known = f"its options are {', '.join(keys)}" if keys else "it has none"
            advice = f"did you mean {near[0]}? {known.capitalize()}" if near else known
            raise ConfigError(f"evaluation.options.{key}: no option of benchmark {self.name}; {advice}") from None


def each(task: Callable[[PublishedRow], Task]) -> Callable[[Material], MadeTasks]:
    """The usual way: one row, one task. RecordError for a row that isn't of the published form."""

    def make(row: PublishedRow) -> Task:
        try:
            return task(row)
        except (TypeError, AttributeError, LookupError, ValueError, RecursionError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else " ".join(str(error).split())
            name = row.get("task_id", row.get("question_id", row.get("id")))
            raise RecordError(f"the row of task {name}: {why:.300}; expected the released file") from None

    return lambda material: MadeTasks([make(row) for row in material.rows], {})
