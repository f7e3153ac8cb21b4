"""Golden texts: what a model reads is part of every experiment, so a change must be meant."""

import pytest

from iterpref.feedback import MAX_CHARS, feedback_text
from iterpref.records import Execution, FailingCase

CASE = FailingCase(call="f([3])", got="1", expected="2")
READ = FailingCase(kind="input", call="3\n", got="6\n", expected="9\n")


def execution(verdict: str, **fields: object) -> Execution:
    return Execution(verdict=verdict, trust="oracle", isolation="zygote", **fields)


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        pytest.param(execution("failed", failing_case=CASE), "f([3]) returned 1, expected 2", id="wrong value"),
        pytest.param(
            execution(
                "error",
                error_type="IndexError",
                error="IndexError: list index out of range\n  line 3: return xs[9]",
                failing_case=FailingCase(call="f([3])", got="", expected="2"),
            ),
            "f([3]) raised IndexError: list index out of range\n  line 3: return xs[9]",
            id="exception in a call",
        ),
        pytest.param(
            execution(
                "error",
                error_type="AssertionError",
                error="AssertionError: negative\n  line 2, in f: assert x > 0, 'negative'",
                failing_case=FailingCase(call="f(-1)", got="AssertionError: negative", expected="1"),
            ),
            "f(-1) raised AssertionError: negative\n  line 2, in f: assert x > 0, 'negative'",
            id="an assertion of the program's own",
        ),
        pytest.param(
            execution("error", error_type="SyntaxError", error="SyntaxError: invalid syntax\n  line 1: def f(:"),
            "SyntaxError: invalid syntax\n  line 1: def f(:",
            id="syntax error",
        ),
        pytest.param(
            execution("failed", error_type="AssertionError", error="AssertionError: sizes differ\n  line 9: assert ok"),
            "AssertionError: sizes differ\n  line 9: assert ok",
            id="assertion without a call",
        ),
        pytest.param(execution("error", error_type="KeyError"), "KeyError", id="exception without a message"),
        pytest.param(
            execution("timeout", error_type="cpu_s", failing_case=CASE),
            "The program used up its CPU time.\nIt was running f([3]).",
            id="CPU limit",
        ),
        pytest.param(execution("timeout", error_type="wall_s"), "The program ran out of time.", id="wall limit"),
        pytest.param(
            execution("timeout", error_type="cpu_s", phase="import"),
            "The program used up its CPU time.\nIt was still being loaded: its top-level code was running.",
            id="CPU limit before any test",
        ),
        pytest.param(
            execution(
                "timeout", error_type="cpu_s", error="The run hit its limit cpu_s.\nInput:\n  3", failing_case=READ
            ),
            "The program used up its CPU time.\nInput:\n  3",
            id="CPU limit of a script",
        ),
        pytest.param(
            execution("failed", error="Line 1 of the output is wrong:\n- 9\n+ 6\nInput:\n  3", failing_case=READ),
            "Line 1 of the output is wrong:\n- 9\n+ 6\nInput:\n  3",
            id="wrong output",
        ),
        pytest.param(
            execution("error", error_type="EOFError", error="EOFError: EOF\n  line 1: input()", failing_case=READ),
            "EOFError: EOF\n  line 1: input()",
            id="exception of a script",
        ),
        pytest.param(
            execution("exited_early", error_type="SystemExit", error="SystemExit: 3", failing_case=READ),
            "The program exited with an error: SystemExit: 3",
            id="exit of a script",
        ),
        pytest.param(execution("out_of_memory"), "The program ran out of memory.", id="memory"),
        pytest.param(execution("output_limit"), "The program printed too much.", id="output"),
        pytest.param(
            execution("output_limit", error_type="result_bytes"), "The program returned too much.", id="huge result"
        ),
        pytest.param(execution("crashed", error_type="SIGSEGV"), "The Python process crashed (SIGSEGV).", id="crash"),
        pytest.param(
            execution("exited_early"),
            "The program ended the process before all tests had run.",
            id="early exit",
        ),
        pytest.param(execution("failed"), "The tests did not pass.", id="nothing known"),
    ],
)
def test_feedback(outcome: Execution, text: str) -> None:
    assert feedback_text(outcome) == text


def test_feedback_is_bounded_and_keeps_both_ends() -> None:
    frames = "\n".join(f"  line {i}: f(x)" for i in range(2000))
    text = feedback_text(execution("error", error_type="RecursionError", error=f"RecursionError: too deep\n{frames}"))
    assert len(text) <= MAX_CHARS
    assert text.startswith("RecursionError: too deep")
    assert text.endswith("  line 1999: f(x)")
