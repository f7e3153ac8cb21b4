"""Progress: bars and words on a terminal, lines elsewhere, and never a long silence."""

import io
import logging
import re
import sys
import time

import pytest

from iterpref import progress
from iterpref.doing import doing, doing_now
from iterpref.progress import ProgressBars


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error as a terminal is, for rich."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def plain(stream: io.StringIO) -> str:
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", stream.getvalue())


def until(said: str, stream: io.StringIO) -> bool:
    """Whether it is said within half a minute."""
    end = time.monotonic() + 30
    while said not in plain(stream) and time.monotonic() < end:
        time.sleep(0.05)
    return said in plain(stream)


def test_words_are_those_begun_last() -> None:
    assert doing_now() == ""
    with doing("one"):
        with pytest.raises(ValueError, match="x"), doing("two"):
            assert doing_now() == "two"
            raise ValueError("x")
        assert doing_now() == "one"
    assert doing_now() == ""


def test_lines_at_the_beginning_and_the_end_and_in_between_not_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as bars:
        for number in range(1, 6):
            bars("debug", number, 5, f"{number} passed")
    assert capsys.readouterr().err.splitlines() == ["debug: 1/5 1 passed", "debug: 5/5 5 passed"]


def test_a_step_may_begin_again(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as bars:
        for done, total in ((1, 2), (2, 2), (1, 3), (3, 3)):
            bars("evaluate", done, total, "")
    said = capsys.readouterr().err.splitlines()
    assert said == ["evaluate: 1/2", "evaluate: 2/2", "evaluate: 1/3", "evaluate: 3/3"]


def test_without_a_terminal_silence_ends_after_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.5)
    monkeypatch.setattr(progress, "STILL_AFTER_S", 0.5)
    said: list[str] = []

    def wait_for(text: str) -> None:
        end = time.monotonic() + 30
        while not any(text in line for line in said):
            assert time.monotonic() < end, said
            time.sleep(0.1)
            said.extend(capsys.readouterr().err.splitlines())

    with ProgressBars() as bars:
        with doing("loading torch"):
            wait_for("loading torch, ")
        wait_for("working, ")
        bars("debug", 3, 10, "2 passed")
        wait_for("debug: 3/10 2 passed, nothing new for ")


def test_a_terminal_says_what_is_done_and_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STILL_AFTER_S", 0.3)
    stream = terminal(monkeypatch)
    with ProgressBars() as bars:
        with doing("loading [red]torch"):
            assert until("loading [red]torch, ", stream)  # words are no markup
        bars("debug", 1, 4, "1 [b]passed")
        assert until("nothing new for ", stream)
        assert until("1/4", stream)
        bars("debug", 4, 4, "3 passed")
    assert "1 [b]passed" in plain(stream)
    last = plain(stream).rstrip().splitlines()[-1]
    assert re.search(r"debug\s.*4/4\s+\d+ s\s.*3 passed", last), last


def test_what_is_printed_while_bars_are_shown_goes_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = terminal(monkeypatch)
    with ProgressBars() as bars:
        bars("export", 1, 2, "")
        print('{"pairs": 3}')
    assert capsys.readouterr().out == '{"pairs": 3}\n'
    assert "pairs" not in stream.getvalue()


def test_an_unfinished_bar_is_left_where_something_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), ProgressBars() as bars:
        bars("debug", 1, 4, "")
        raise KeyboardInterrupt
    assert "1/4" in plain(stream).rstrip().splitlines()[-1]


def test_logs_and_notes_change_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)
    with ProgressBars() as bars:
        logging.getLogger("iterpref.test").warning("refused: %s", "\x1b[2Jgone")
        bars("debug", 1, 1, "said \x1b]0;title\x07")
    assert "refused: ⟨U+001B⟩[2Jgone" in plain(stream)
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x1b]0" not in stream.getvalue()


def test_of_several_processes_the_first_one_speaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.1)
    with ProgressBars(), doing("loading torch"):
        time.sleep(1.5)
    assert capsys.readouterr().err == ""
