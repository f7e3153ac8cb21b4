"""`connect`: a service that a run may use in place of its own sandbox, or why not, before anything is run."""

import platform
from collections.abc import Mapping
from typing import Any

from iterpref.errors import SandboxError
from iterpref.records import Isolation

from .. import ENGINE_VERSION, RUNGS
from .service import ServedSandbox

_LOWEST = [name for name, rung in RUNGS.items() if not rung.warning][-1]  # as Sandbox's own default


def connect(
    url: str,
    token: str | None = None,
    workers: int | None = None,
    min_isolation: Isolation | None = None,
    hash_seed: int = 0,
) -> ServedSandbox:
    """A sandbox behind a service whose verdicts are those that this machine would reach.

    Args:
        workers: Jobs under way at once, of this process; as many as the service runs at once by default.
        min_isolation: The lowest rung there; `landlock` by default.

    Raises:
        SandboxError: It can't be reached, wants another token, isolates less, or is another version of ours or Python.
    """
    with ServedSandbox(url, token) as asked:
        if problem := _problem(asked.health, min_isolation or _LOWEST):
            raise SandboxError(f"service {url}: {problem}")
        asked.check_token()
        there = int(asked.health["workers"])
    return ServedSandbox(url, token, workers or there, hash_seed=hash_seed)


def _problem(health: Mapping[str, Any], minimum: Isolation) -> str:
    """Why this service can't stand for this machine; "" if it can."""
    here = f"engine {ENGINE_VERSION} on Python {_minor(platform.python_version())}"
    there = f"engine {health['engine']} on Python {_minor(str(health.get('python')))}"
    if here != there:
        return f"{there}, and verdicts of {here} are expected; start it with the IterPref and Python of this run"
    rungs = list(RUNGS)
    if health["isolation"] not in rungs[: rungs.index(minimum) + 1]:
        return f"isolates by {health['isolation']}, and at least {minimum} is expected (sandbox.min_isolation)"
    return ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
