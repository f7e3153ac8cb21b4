"""A task: a prompt, tests, and limits for its programs; and how well its tests tell right programs from wrong ones."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from .base import Prompt, Record, fingerprint, stays_inside

Style = Literal["assert", "check", "calls", "unittest", "pytest", "doctest", "stdio"]


class TestFile(Record):
    """One file of tests, at a relative `path`; how `content` is read depends on the task's style.

    `assert`, `check`, `unittest`, `pytest`: Python source. `doctest`: a text with `>>>` examples.
    `calls`: one JSON object a line, `{"args": "([3, 1],)", "kwargs": "{}", "expected": "4"}`, each value the text of a
    Python literal (`kwargs` may be absent); or, for long tables, `{"input": [[3, 1]], "output": 4}`, with plain values
    as `sandbox/call_tables.py` writes them. `stdio`: likewise, `{"stdin": "3\\n", "stdout": "9\\n"}`; with
    `"match": "numbers"` a line of the same numbers, `9.0`, is as good.
    """

    __test__: ClassVar[bool] = False  # not a pytest class

    path: str
    content: str


Seconds = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1 << 50)]


class Limits(Record):
    """What one execution may use: seconds, bytes and counts.

    CPU time (`cpu_s`) is the first bound; wall time (`wall_s`) is the outer one. `memory_bytes`: of each process;
    `processes`: at once; `open_files`: at once, of each process; `file_bytes`: of each file, and of a job's files
    together; `output_bytes`: of each of its two streams. `call_cpu_s` and `call_wall_s` bound one call, or one test
    that runs in the program's process, and the loading of the program; None, which is left out where limits are
    written: only the whole run is bounded.
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


class DraftedProgram(Record):
    """The program that a model wrote together with a task: what debugging begins with (arXiv:2503.02783, CodeFlow).

    `client` names the model, `call_id` the call that both came from.
    """

    program: str
    client: str = ""
    call_id: str = ""


class Task(Record):
    """A programming task with frozen tests.

    `task_id` is unique in a run, `prompt` what a model reads: a text, or a conversation. `tests` are files, `style` how
    they are run; `entry_point` is the function that they call, where it is known; `program_path` the file that tests
    import; `packages` what programs may import beside the standard library. `limits` hold for each run. `origin`,
    `license` and `parent_task_id` say where it comes from. `prefix` is put before every program (HumanEval's imports,
    stubs); `reference` is a known solution, never shown to a model; `draft` the program that was written with the task,
    right or wrong; `split` is free text (`train`, `validation`, `held_out` in the playground).
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
    draft: DraftedProgram | None = None
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
    judge: dict[str, int] = Field(default_factory=dict)
    unmeasured: dict[str, str] = Field(default_factory=dict)
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
