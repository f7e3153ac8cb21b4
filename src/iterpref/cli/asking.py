"""What commands that ask a model have in common: ask again, make given-up calls again, and say what failed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from iterpref.errors import IterPrefError
from iterpref.visible import shown

if TYPE_CHECKING:
    from iterpref.opened_run import OpenedRun
    from iterpref.store import Store

RetryDead = Annotated[bool, typer.Option("--retry-dead", help="Make calls again that were refused or given up.")]
Again = Annotated[bool, typer.Option("--again", help="Ask everything again, and replace what was answered before.")]

Estimate = Annotated[
    bool, typer.Option("--estimate", help="Only say what calls, tokens and US dollars it would take; asks nothing.")
]
Rate = Annotated[
    float | None,
    typer.Option("--tokens-per-s", help="Of an estimate in hours: new tokens a second, of all requests together."),
]


def check_rate(estimate: bool, tokens_per_s: float | None) -> None:
    """Refuse a rate that says nothing."""
    if tokens_per_s is not None and not (estimate and 0 < tokens_per_s < float("inf")):
        raise IterPrefError(f"--tokens-per-s {tokens_per_s:g}: expected more than 0, together with --estimate")


@contextmanager
def asking(run: "OpenedRun", step: str, again: bool, retry_dead: bool) -> "Iterator[OpenedRun]":
    """The run as `step` is to see it; in the end calls that were refused meanwhile are said on standard error."""
    from iterpref.run_folder import again_note

    if retry_dead:
        run.store.forget_dead_letters()
    dead = run.store.count("dead_letters")
    try:
        if again:
            with run.asking_again(step) as asked:
                yield asked
        else:
            run.store.put_note(again_note(step), None)  # what a stopped `--again` had left to do is done otherwise
            yield run
    finally:
        say_dead(run.store, dead)


def say_dead(store: "Store", before: int) -> None:
    """Say how many calls were refused or given up since there were `before` dead letters."""
    dead = store.count("dead_letters") - before
    if dead > 0:
        which = "1 request was" if dead == 1 else f"{dead} requests were"
        said = f"{which} refused or given up; the last: {store.last_dead_letter()}"
        print(f"iterpref: {shown(said)}; --retry-dead asks again", file=sys.stderr)


def check_calls(failed: int, why: str, what: str) -> None:
    """Raise an IterPrefError if calls failed, which leaves something undone."""
    if failed:
        raise IterPrefError(f"{failed} {what}; first: {why}")
