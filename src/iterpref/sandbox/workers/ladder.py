"""Which rung of isolation does this machine reach, and why not a higher one?

In: what was asked for. Out: a started worker on the best rung. Not here: which rungs there are (inside/rungs/table.py).
"""

from collections.abc import Sequence

from iterpref.errors import SandboxError

from ..inside.rungs.table import RUNGS
from .worker import RungRefused, Worker, WorkerBroken

LOWEST_ISOLATING = [name for name, rung in RUNGS.items() if not rung.warning][-1]


def below(rung: str, minimum: str) -> bool:
    """Whether a rung isolates less than another.

    Raises:
        SandboxError: There is no rung of that name.
    """
    best_first = list(RUNGS)
    if minimum not in best_first:
        raise SandboxError(f"sandbox: got min_isolation {minimum!r}, expected one of {', '.join(best_first)}")
    return best_first.index(rung) > best_first.index(minimum)


def climb(wanted: str, preload: Sequence[str], hash_seed: int) -> tuple[Worker, str, list[str]]:
    """The first worker, the rung it reached, and why the higher ones were refused.

    Raises:
        SandboxError: No rung that was asked for works, or its worker is broken.
    """
    rungs = [rung for rung in RUNGS if wanted in ("auto", rung)]
    refusals: list[str] = []
    for rung in rungs:
        try:
            return Worker(rung, preload, hash_seed), rung, refusals
        except RungRefused as error:
            refusals.append(f"{rung}: {error}")
        except WorkerBroken as error:
            raise SandboxError(f"sandbox: a worker on rung {rung!r} did not start: {error}") from error
    choices = ", ".join(("auto", *RUNGS))
    raise SandboxError("; ".join(refusals) or f"sandbox: got isolation {wanted!r}, expected one of {choices}")


def stamps(rung: str, refusals: Sequence[str]) -> tuple[str, ...]:
    """What every Execution of this rung must say of itself."""
    text = RUNGS[rung].warning
    return (text + (f" ({'; '.join(refusals)})" if refusals else ""),) if text else ()
