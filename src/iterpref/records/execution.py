"""What one run of a program amounts to."""

from typing import ClassVar, Literal

from .base import Record

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
    """What happened when a program ran against tests: arXiv:2503.02783 shows a model `error` and `failing_case`.

    `verdict` is the outcome, `trust` how far it can be believed (`oracle`: expected values stayed outside the child),
    `isolation` the rung it ran on; `warnings` carries whatever must not be overlooked (for example, no isolation).
    `tests` are the outcomes of single tests, `phase` is what ran last.
    `error_type` is the exception's class name or the limit hit, `error` the message; `frames` are the lines below it:
    where in the user's files it came up, the innermost last, and with which values. `packages`: name and version of
    each installed package that the program or its tests loaded; on a machine with others the verdict may be another.
    `stdout` and `stderr` are what was written, `wall_s` and `cpu_s` seconds, `max_rss_bytes` the most memory in bytes.
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
