"""Execution → the text a model reads before it tries again.

In: an `Execution` that did not pass. Out: a few lines: which call went wrong with what it returned and should have
returned, or the exception with the program's own frames, or the limit that was hit. Bounded, the same for every model.
Not here: the sentence around it (`prompts/repair.jinja`).
"""

from iterpref.records import Execution

MAX_CHARS = 1500

_LIMITS = {
    "cpu_s": "The program used up its CPU time.",
    "wall_s": "The program ran out of time.",
}


def feedback_text(execution: Execution) -> str:
    """What a model needs to know about a failed execution; at most `MAX_CHARS` characters."""
    text = "\n".join(line for line in (_headline(execution), _frames(execution)) if line)
    return _clip(text or "The tests did not pass.", MAX_CHARS)


def _headline(execution: Execution) -> str:
    case = execution.failing_case
    match execution.verdict:
        case "timeout":
            limit = _LIMITS.get(execution.error_type, "The program ran out of time.")
            return f"{limit}\nIt was running {case.call}." if case else limit
        case "out_of_memory":
            return "The program ran out of memory."
        case "output_limit":
            return "The program printed too much."
        case "crashed":
            return f"The Python process crashed ({execution.error_type or 'killed by a signal'})."
        case "exited_early":
            return "The program ended the process before all tests had run."
        case "failed" if case:
            return f"{case.call} returned {case.got}, expected {case.expected}"
        case _ if case:
            return f"{case.call} raised {_exception(execution)}"
        case _:
            return _exception(execution)


def _exception(execution: Execution) -> str:
    """`Type: message`, from the first line of the trimmed traceback."""
    first = execution.error.split("\n", 1)[0].strip()
    if not execution.error_type:
        return first
    return first if first.startswith(execution.error_type) else f"{execution.error_type}: {first}".rstrip(": ")


def _frames(execution: Execution) -> str:
    """The lines of the trimmed traceback below the exception, as the sandbox wrote them."""
    _, _, frames = execution.error.partition("\n")
    return frames.rstrip()


def _clip(text: str, limit: int) -> str:
    """Keep head and tail: the call stands first, the innermost frame last."""
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]}\n...\n{text[-half:]}"
