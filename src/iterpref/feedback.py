"""Execution → the text a model reads before it tries again.

In: an `Execution` that did not pass. Out: a few lines: which call went wrong with what it returned and should have
returned, or the exception with the program's own frames, or the limit that was hit. Bounded, the same for every model.
Not here: the sentence around it (`prompts/repair.jinja`).
"""

from collections.abc import Callable

from iterpref.errors import ConfigError
from iterpref.records import Execution, FailingCase

MAX_CHARS = 1500
USUAL = "execution"
NOT_PASSED = "The tests did not pass."

_LIMITS = {
    "cpu_s": "The program used up its CPU time.",
    "wall_s": "The program ran out of time.",
    "call_cpu_s": "The program used up its CPU time.",
}


def feedback_text(execution: Execution) -> str:
    """What a model needs to know about a failed execution; at most `MAX_CHARS` characters."""
    text = "\n".join(line for line in (_headline(execution), _below(execution)) if line)
    return _clip(text or NOT_PASSED, MAX_CHARS)


def _headline(execution: Execution) -> str:
    case = execution.failing_case if execution.failing_case and execution.failing_case.kind == "call" else None
    match execution.verdict:
        case "timeout" | "out_of_memory" | "output_limit" | "crashed":
            return _ended(execution) + _while(execution, case)
        case "exited_early":
            return _exited(execution, case)
        case "failed" if execution.error:
            return execution.headline
        case "failed" if case:
            return f"{case.call} returned {case.got}, expected {case.expected}"
        case _ if case:
            return f"{case.call} raised {_exception(execution)}"
        case _:
            return _exception(execution)


def _ended(execution: Execution) -> str:
    """Which limit was hit, or which signal came."""
    match execution.verdict:
        case "timeout":
            return _LIMITS.get(execution.error_type, "The program ran out of time.")
        case "out_of_memory":
            return "The program ran out of memory."
        case "output_limit":
            large = execution.error_type == "result_bytes"
            return "The program returned too much." if large else "The program printed too much."
        case _:
            return f"The Python process crashed ({execution.error_type or 'killed by a signal'})."


def _exited(execution: Execution, case: FailingCase | None) -> str:
    if execution.failing_case and case is None:  # a script, which may exit, but not like this
        said = _exception(execution)
        return f"The program exited with an error: {said}" if execution.error_type else said
    return "The program ended the process before all tests had run." + _while(execution, case)


def _while(execution: Execution, case: FailingCase | None) -> str:
    """What was running, as far as it is known, on a line of its own."""
    if case:
        return f"\nIt was running {case.call}."
    loading = execution.phase == "import" and not _below(execution)
    return "\nIt was still being loaded: its top-level code was running." if loading else ""


def _exception(execution: Execution) -> str:
    """`Type: message`, from the first line of the message."""
    first = execution.headline.strip()
    if not execution.error_type:
        return first
    return first if first.startswith(execution.error_type) else f"{execution.error_type}: {first}".rstrip(": ")


def _below(execution: Execution) -> str:
    """All below the first line of the message: the rest of it, and the frames."""
    _, newline, more = execution.error.partition("\n")
    return "\n".join([*([more] if newline else []), *execution.frames]).rstrip()


def _clip(text: str, limit: int) -> str:
    """Keep head and tail: the call stands first, the innermost frame last."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]}\n...\n{text[-half:]}"


# The values of `debugging.feedback`: a failed execution → what the model reads. `none` is a control: the model sees its
# program once more, and not what was wrong.
FEEDBACKS: dict[str, Callable[[Execution], str]] = {
    USUAL: feedback_text,
    "none": lambda execution: NOT_PASSED,
}


def feedback_named(name: str) -> Callable[[Execution], str]:
    """One of `FEEDBACKS`.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in FEEDBACKS:
        raise ConfigError(f"debugging.feedback is {name}; expected one of {', '.join(FEEDBACKS)}")
    return FEEDBACKS[name]
