"""The messages between host, zygote and run: plain dicts, as `marshal` and JSON take; types for type checkers alone."""

from typing import Any, Literal, NotRequired, TypedDict

Mode = Literal["calls", "script", "assert", "check", "unittest", "pytest", "doctest", "pages"]


class RunLimits(TypedDict):
    """`records.Limits` as a dict, in which bounds on a call may be absent."""

    cpu_s: float
    wall_s: float
    call_cpu_s: NotRequired[float]
    call_wall_s: NotRequired[float]
    memory_bytes: int
    processes: int
    open_files: int
    file_bytes: int
    output_bytes: int


class Setup(TypedDict):
    """The first message to a worker. `path`: `sys.path` of its programs; `python_dirs`: what they must see for it."""

    isolation: str
    preload: list[str]
    path: list[str]
    python_dirs: list[str]
    prefix: str


class RunRequest(TypedDict):
    """One run.

    `files` are written into its folder; of `calls` each is `[function, args, kwargs, how the result is sent]`, of
    `tests` each is `[path, content]`. `nonce` marks the lines of the result channel; `control`, where not empty, asks
    for the negative control and is the word that proves it. `measure` asks which lines of the program run. Mode
    `pages` is `calls`, and then tells which pages of memory were written to.
    """

    mode: Mode
    nonce: str
    program: str
    prefix: str
    program_path: str
    files: dict[str, str]
    entry_point: str | None
    seed: int
    limits: RunLimits
    calls: list[Any]
    tests: list[list[str]]
    control: str
    measure: bool


class ProbeRequest(TypedDict):
    """A trial run that tests the isolation of its rung."""

    mode: Literal["probe"]
    isolation: str
    limits: RunLimits


def probe(isolation: str) -> ProbeRequest:
    """The trial run of a rung."""
    return {"mode": "probe", "isolation": isolation, "limits": PROBE_LIMITS}


# A trial run takes milliseconds. A busy machine must not look like one that refuses a rung.
PROBE_LIMITS: RunLimits = {
    "cpu_s": 60.0, "wall_s": 120.0, "memory_bytes": 1 << 28, "processes": 8, "open_files": 32, "file_bytes": 1 << 20,
    "output_bytes": 1 << 16,
}  # fmt: skip
