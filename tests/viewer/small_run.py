"""Records of a small run, written by hand."""

from iterpref.feedback import feedback_text
from iterpref.programs import fenced
from iterpref.records import (
    Attempt,
    Execution,
    FailingCase,
    Isolation,
    Origin,
    Result,
    Sample,
    Task,
    TestFile,
    Trajectory,
)
from iterpref.store import Store

HOSTILE = "</pre><script>alert('owned')</script><img src=x onerror=\"alert(1)\">"
RIGHT = 'def solve(xs):\n    """Largest, or 0."""\n    if not xs:\n        return 0\n    return max(xs)'
WRONG = 'def solve(xs):\n    """Largest, or 0."""\n    first = xs[0]\n    return max(xs)'
WORSE = 'def solve(xs):\n    """Largest, or 0."""\n    return min(xs)'


def passed(isolation: Isolation = "zygote", warnings: tuple[str, ...] = ()) -> Execution:
    return Execution(verdict="passed", trust="oracle", isolation=isolation, warnings=warnings)


def wrong(got: str = "1") -> Execution:
    case = FailingCase(call="solve([1, 2])", got=got, expected="2")
    return Execution(verdict="failed", trust="oracle", isolation="zygote", failing_case=case)


def raised() -> Execution:
    return Execution(
        verdict="error",
        trust="oracle",
        isolation="zygote",
        error_type="IndexError",
        error="IndexError: list index out of range\n  line 3: first = xs[0]",
        failing_case=FailingCase(call="solve([])", got="", expected="0"),
    )


def task(number: int, prompt: str = "Return the largest number of xs, or 0 for an empty list.") -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "([],)", "expected": "0"}'),)
    return Task(task_id=f"own/{number}", prompt=prompt, tests=tests, style="calls", entry_point="solve")


def trajectory(task_id: str, *attempts: tuple[str, Execution], origin: Origin = "debugging") -> Trajectory:
    last = len(attempts) - 1
    made = tuple(
        Attempt(
            iteration=i,
            program=program,
            completion=fenced(program),
            execution=execution,
            feedback=feedback_text(execution) if i < last and origin == "debugging" else None,
        )
        for i, (program, execution) in enumerate(attempts)
    )
    status = "passed" if made[-1].execution.passed else "unresolved"
    return Trajectory(
        trajectory_id=f"{task_id}:{origin}", task_id=task_id, attempts=made, status=status, client="test", origin=origin
    )


def put_trajectory(store: Store, made: Trajectory) -> None:
    for attempt in made.attempts:
        key = f"{made.trajectory_id}:{attempt.iteration}"
        store.put_execution(key, attempt.execution)
        store.put_attempt(made.trajectory_id, made.task_id, attempt, key)
    store.put_trajectory(made)


def result(name: str, solved: dict[str, bool], benchmark: str = "own.jsonl", model: str | None = None) -> Result:
    samples = tuple(
        Sample(
            task_id=task_id,
            sample_index=0,
            completion=fenced(RIGHT),
            program=RIGHT,
            execution=passed() if ok else wrong(),
        )
        for task_id, ok in solved.items()
    )
    return Result(
        result_id=name,
        benchmark=benchmark,
        model=model or f"local:{name}",
        dataset_hash="d" * 24,
        protocol="chat, greedy, 1 sample per task, at most 192 new tokens",
        samples=samples,
        metrics={"pass@1": sum(solved.values()) / len(solved), "pass@1_stderr": 0.1},
    )
