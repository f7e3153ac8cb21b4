"""The nouns: what every stage reads and writes. Frozen, typed, JSON round trip; field names are the public schema.

    Task → Trajectory (of Attempts, each with an Execution) → PreferencePair → Result

Imports nothing of ours. `Record.model_dump_json()` writes a record and `Record.model_validate_json()` reads it back;
an unknown field is an error, so a file of a newer schema is never half read.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Style = Literal["assert", "check", "calls", "unittest", "pytest", "doctest", "stdio"]
Verdict = Literal[
    "passed",  # every test ran and held
    "failed",  # a test did not hold
    "error",  # the program or a test raised
    "timeout",  # CPU or wall-clock limit
    "out_of_memory",
    "output_limit",
    "crashed",  # killed by a signal of its own making (segfault, abort)
    "exited_early",  # the process ended before all tests had reported
    "tampered",  # the result channel carried something no honest run writes
    "unverified",  # the tests ran, but their outcome can't be vouched for
    "sandbox_error",  # the tool broke; says nothing about the program
]
Trust = Literal["oracle", "checked", "in_process"]
Isolation = str  # a rung of the sandbox's, as its table names them
Phase = Literal["import", "test", "none"]
Origin = Literal["debugging", "sampling", "import"]


class Record(BaseModel):
    """Base of all records: immutable, and strict about fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which no file and no request can carry as UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


Text = Annotated[str, AfterValidator(well_formed)]


class Message(Record):
    """One turn of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: Text


Prompt = str | tuple[Message, ...]


def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """A plain prompt as one user turn; messages as they are."""
    return (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt


def stays_inside(path: str) -> bool:
    """Whether a path can name a file in a folder, and in no other one."""
    parts = PurePosixPath(path)
    named = path and "\0" not in path and path == well_formed(path)
    return bool(named) and not parts.is_absolute() and ".." not in parts.parts


class TestFile(Record):
    """One file of tests; how `content` is read depends on the task's style.

    `assert`, `check`, `unittest`, `pytest`: Python source. `doctest`: a text with `>>>` examples.
    `calls`: one JSON object a line, `{"args": "([3, 1],)", "kwargs": "{}", "expected": "4"}`, each value the text of a
    Python literal (`kwargs` may be absent); or, for long tables, `{"input": [[3, 1]], "output": 4}`, with plain values
    as `sandbox/call_tables.py` writes them. `stdio`: likewise, `{"stdin": "3\\n", "stdout": "9\\n"}`.
    """

    __test__: ClassVar[bool] = False  # not a pytest class

    path: str
    content: str


Seconds = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1 << 50)]


class Limits(Record):
    """What one execution may use. CPU time is the first bound; wall time is the outer one.

    `call_cpu_s` and `call_wall_s` bound one call, or one test that runs in the program's process, and the loading of
    the program; None, which is left out where limits are written: only the whole run is bounded.
    """

    cpu_s: Seconds = 5.0
    wall_s: Seconds = 20.0
    call_cpu_s: Seconds | None = None
    call_wall_s: Seconds | None = None
    memory_bytes: Count = 1 << 30
    processes: Count = 64
    open_files: Annotated[Count, Field(ge=16)] = 128
    file_bytes: Count = 64 << 20
    output_bytes: Count = 1 << 16

    def at_least(self, cpu_s: float, wall_s: float) -> Self:
        """The same with no less time than this, for the run and for each call where calls are bounded."""
        least = {"cpu_s": cpu_s, "wall_s": wall_s, "call_cpu_s": cpu_s, "call_wall_s": wall_s}
        own = {name: getattr(self, name) for name in least}
        return self.model_copy(update={name: max(own[name], least[name]) for name in least if own[name] is not None})

    @model_serializer(mode="wrap")
    def _without_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Limits without bounds on a call are written, and named in keys, as before there were such bounds."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if value is not None}


class Task(Record):
    """A programming task with frozen tests.

    `prefix` is put before every program (HumanEval's imports, stubs); `reference` is a known solution, never shown to a
    model; `split` is free text (`train`, `validation`, `held_out` in the playground).
    """

    task_id: str
    prompt: Prompt
    tests: tuple[TestFile, ...]
    style: Style
    entry_point: str | None = None
    prefix: str = ""
    program_path: str = "solution.py"
    limits: Limits = Limits()
    reference: str | None = None
    packages: tuple[str, ...] = ()
    split: str = "train"
    parent_task_id: str | None = None
    origin: str = ""
    license: str = ""

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        for path in (self.program_path, *(test.path for test in self.tests)):
            if not stays_inside(path):
                raise ValueError(f"task {self.task_id}: path {path!r} must be relative and stay inside, without '..'")
        if not any(test.content.strip() for test in self.tests):
            raise ValueError(f"task {self.task_id}: no tests; a task needs at least one non-empty test file")
        return self

    @property
    def tests_hash(self) -> str:
        """Identity of the tests: a change in any of them makes a new task."""
        return fingerprint([self.style, self.entry_point, self.prefix, [t.model_dump() for t in self.tests]])


class FailingCase(Record):
    """The first call that went wrong, as source text a person would write (`repr`s, cut to a bound).

    `kind` is `input` for a program that reads and prints: then `call` is what it read, `got` what it printed.
    """

    call: str
    got: str
    expected: str
    kind: Literal["call", "input"] = "call"


class TestOutcome(Record):
    """What one test of a file did."""

    __test__: ClassVar[bool] = False

    name: str
    verdict: Literal["passed", "failed", "error", "skipped", "not_run"]
    detail: str = ""


class Execution(Record):
    """What happened when a program ran against tests.

    `verdict` is the outcome, `trust` how far it can be believed (`oracle`: expected values stayed outside the child),
    `isolation` the rung it ran on; `warnings` carries whatever must not be overlooked (for example, no isolation).
    `error_type` is the exception's class name or the limit hit, `error` the message; `frames` are the lines below it:
    where in the user's files it came up, the innermost last, and with which values. `packages`: name and version of
    each installed package that the program or its tests loaded; on a machine with others the verdict may be another.
    """

    verdict: Verdict
    trust: Trust
    isolation: Isolation
    phase: Phase = "test"
    error_type: str = ""
    error: str = ""
    frames: tuple[str, ...] = ()
    tests: tuple[TestOutcome, ...] = ()
    failing_case: FailingCase | None = None
    stdout: str = ""
    stderr: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    packages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"

    @property
    def headline(self) -> str:
        """The first line of the message."""
        return self.error.split("\n", 1)[0]

    @property
    def text(self) -> str:
        """The message with its frames, as it is shown."""
        return "\n".join((self.error, *self.frames))


class Attempt(Record):
    """One program and what its tests said. `feedback` is the text shown to the model for the next attempt."""

    iteration: int
    program: str
    completion: str
    execution: Execution
    call_id: str = ""
    feedback: str | None = None


class Trajectory(Record):
    """All attempts at one task, in order. `seed` tells repeated trajectories of one client apart."""

    trajectory_id: str
    task_id: str
    attempts: tuple[Attempt, ...]
    status: Literal["passed", "unresolved", "failed_tools"]
    client: str = ""
    seed: int = 0
    origin: Origin = "debugging"


class ExportedTrajectory(Record):
    """One line of our own export: a trajectory with its task, so that the file stands alone."""

    task: Task
    trajectory: Trajectory


class TestQuality(Record):
    """How far the tests of a task can be trusted, measured on a program that passes them.

    `passing_stubs` names the trivially wrong programs that pass as well; `surviving` the faults that go unnoticed, as
    `operator:line`. `stronger`: whether the program also passes stronger tests of its task, None without any. `judge`
    holds scores from 1 to 5. What the sandbox broke on counts in no figure; `unmeasured` says by a figure's name why it
    is None or lacks something, `cause` what the first repeat that did not pass said. `stale`: to be measured again,
    because the sandbox broke or an earlier version measured it. With `failing` it was measured on a program that fails,
    and says only how often that one passed nevertheless.
    """

    __test__: ClassVar[bool] = False

    task_id: str
    tests_hash: str
    program_hash: str
    repeats: int
    repeats_passed: int
    passing_stubs: tuple[str, ...] = ()
    line_coverage: float | None = None
    branch_coverage: float | None = None
    mutants: int = 0
    mutants_killed: int = 0
    surviving: tuple[str, ...] = ()
    stronger: bool | None = None
    failing: bool = False
    judge: dict[str, int] = {}
    unmeasured: dict[str, str] = {}
    cause: str = ""
    stale: bool = False

    @property
    def never_passes(self) -> bool:
        """Whether no repeat passed: such a program is wrong, or its tests are."""
        return not self.repeats_passed and self.repeats > 0

    @property
    def flaky(self) -> bool:
        """Whether some repeats passed and some did not."""
        return 0 < self.repeats_passed < self.repeats

    @property
    def mutation_score(self) -> float | None:
        """Share of the mutants that the tests notice; None for a program without any."""
        return self.mutants_killed / self.mutants if self.mutants else None


class Span(Record):
    """Characters [start, stop) of the exact string the span came with."""

    start: int = Field(ge=0)
    stop: int = Field(ge=0)


def merged(spans: Iterable[Span]) -> list[tuple[int, int]]:
    """[start, stop) of each run of spans that follow one another without a gap; empty ones are left out."""
    found: list[tuple[int, int]] = []
    for span in spans:
        if found and found[-1][1] == span.start:
            found[-1] = (found[-1][0], span.stop)
        elif span.start < span.stop:
            found.append((span.start, span.stop))
    return found


class FilterVerdict(Record):
    """One filter's word on one pair; `reason` says what was measured."""

    name: str
    kept: bool
    reason: str = ""


class PreferencePair(Record):
    """A chosen and a rejected completion, and where they differ.

    `prompt`, `chosen`, `rejected` are TRL's columns. Spans index the exact `chosen` and `rejected` strings, cover whole
    lines with their newline, and mark D⁺ and D⁻ (arXiv:2503.02783, Algorithm 1).
    """

    pair_id: str
    task_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    chosen_spans: tuple[Span, ...]
    rejected_spans: tuple[Span, ...]
    diff: str
    diff_version: int
    render_template: str
    trajectory_id: str = ""
    chosen_iteration: int | None = None
    rejected_iteration: int | None = None
    error_type: str = ""
    tests_hash: str = ""
    trust: Trust | None = None
    filters: tuple[FilterVerdict, ...] = ()
    origin: Origin = "debugging"

    @property
    def kept(self) -> bool:
        return all(verdict.kept for verdict in self.filters)

    @property
    def content_hash(self) -> str:
        return content_hash(self.prompt, self.chosen, self.rejected, self.chosen_spans, self.rejected_spans)


class ImportedPair(Record):
    """An existing preference pair as it came, before spans: `chosen` and `rejected` keep their text to the character.

    `source` names the file or data set it was read from; `task_id` is the source's own, else the pair's id.
    """

    pair_id: str
    task_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    source: str = ""
    license: str = ""


class Sample(Record):
    """One completion of a benchmark task: raw, as a program, and what its tests said."""

    task_id: str
    sample_index: int
    completion: str
    program: str
    execution: Execution


class Result(Record):
    """One model on one benchmark. `metrics` holds `pass@k`; everything else says how it was reached.

    `broken`: tasks that can't be judged on this machine, with the cause; they have no samples and count in no metric.
    `difficulty`: task id → what its publishers call it (`easy`), else its reference's length (`reference: 6-10 lines`).
    """

    result_id: str
    benchmark: str
    model: str
    dataset_hash: str
    protocol: str
    samples: tuple[Sample, ...]
    metrics: dict[str, float]
    settings: dict[str, Any] = {}
    version: str = ""
    broken: dict[str, str] = {}
    difficulty: dict[str, str] = {}


def fingerprint(value: Any) -> str:
    """Stable short hash of any JSON value, the same in every process and on every platform."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def program_hash(program: str) -> str:
    """Identity of a program, whatever blank lines surround it."""
    return fingerprint(program.strip())


def content_hash(
    prompt: Prompt, chosen: str, rejected: str, chosen_spans: Sequence[Span], rejected_spans: Sequence[Span]
) -> str:
    """Identity of what is trained on; a pair whose text or spans were edited no longer matches."""
    spans = [[[s.start, s.stop] for s in side] for side in (chosen_spans, rejected_spans)]
    return fingerprint([[m.model_dump() for m in as_messages(prompt)], chosen, rejected, spans])
