"""Which rung of isolation does this machine reach, and why not a higher one?

In: what was asked for. Out: a started worker on the best rung. Not here: what a rung is (rung.py and its
neighbours).
"""

from collections.abc import Sequence

from iterpref.errors import SandboxError
from iterpref.records import Isolation

from .worker import Broken, Refused, Worker

RUNGS: tuple[Isolation, ...] = ("zygote_cgroup", "zygote", "bubblewrap", "landlock", "rlimits")  # best first


def below(rung: Isolation, minimum: Isolation) -> bool:
    """Whether a rung isolates less than another."""
    return RUNGS.index(rung) > RUNGS.index(minimum)


def climb(wanted: str, preload: Sequence[str], hash_seed: int) -> tuple[Worker, Isolation, list[str]]:
    """The first worker, the rung it reached, and why the higher ones were refused.

    Raises:
        SandboxError: No rung that was asked for works, or its worker is broken.
    """
    rungs = [rung for rung in RUNGS if wanted in ("auto", rung)]
    refusals: list[str] = []
    for rung in rungs:
        try:
            return Worker(rung, preload, hash_seed), rung, refusals
        except Refused as error:
            refusals.append(f"{rung}: {error}")
        except Broken as error:
            raise SandboxError(f"sandbox: a worker on rung {rung!r} did not start: {error}") from error
    choices = ", ".join(("auto", *RUNGS))
    raise SandboxError("; ".join(refusals) or f"sandbox: got isolation {wanted!r}, expected one of {choices}")


def stamps(rung: Isolation, refusals: Sequence[str]) -> tuple[str, ...]:
    """What every Execution of this rung must say of itself."""
    if rung != "rlimits":
        return ()
    text = "NOT ISOLATED: programs run under resource limits only; they can read this user's files and use the network"
    return (text + (f" ({'; '.join(refusals)})" if refusals else ""),)
