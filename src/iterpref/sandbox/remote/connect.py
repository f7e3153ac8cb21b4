"""`connect`: a service that a run may use in place of its own sandbox, or why not, before anything is run."""

import platform
from collections.abc import Mapping
from typing import Any

from iterpref.errors import SandboxError
from iterpref.records import Isolation

from .. import ENGINE_VERSION, RUNGS
from ..workers.pool import LOWEST_ISOLATING
from .service import ServedSandbox


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
    served = ServedSandbox(url, token, hash_seed=hash_seed)
    try:
        if problem := _problem(served.health, min_isolation or LOWEST_ISOLATING):
            raise SandboxError(f"service {url}: {problem}")
        served.check_token()
    except SandboxError:
        served.close()
        raise
    served.workers = workers or int(served.health["workers"])
    return served


def _problem(health: Mapping[str, Any], minimum: Isolation) -> str:
    """Why this service can't stand for this machine; "" if it can."""
    rungs = list(RUNGS)
    if rungs.index(health["isolation"]) > rungs.index(minimum):
        return f"isolates by {health['isolation']}, and at least {minimum} is expected (sandbox.min_isolation)"
    here = f"engine {ENGINE_VERSION} on Python {_minor(platform.python_version())}"
    there = f"engine {health['engine']} on Python {_minor(str(health.get('python')))}"
    if here != there:
        return f"{there}, and verdicts of {here} are expected; start it with the IterPref and Python of this run"
    return ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
