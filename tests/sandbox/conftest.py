"""Real sandboxes, one per session: the tests of isolation need the namespaces rung and skip where it is refused."""

import warnings
from collections.abc import Iterator

import pytest

from iterpref.errors import SandboxError
from iterpref.records import Isolation
from iterpref.sandbox import Sandbox


def _opened(isolation: Isolation, refused: str) -> Iterator[Sandbox]:
    """A sandbox on this rung; without the rung, the test is skipped for the reason that the machine gives."""
    try:
        sandbox = Sandbox(workers=1, isolation=isolation)
    except SandboxError as error:
        pytest.skip(f"{refused}: {error}")
    with sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def cage() -> Iterator[Sandbox]:
    """The namespaces rung. Hostile programs run here or nowhere."""
    yield from _opened("zygote", "this machine refuses namespaces")


@pytest.fixture(scope="session")
def bare() -> Iterator[Sandbox]:
    """The rlimits rung."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sandbox = Sandbox(workers=1, isolation="rlimits")
    with sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def grouped() -> Iterator[Sandbox]:
    """Namespaces and a control group: root, with writable cgroups."""
    yield from _opened("zygote_cgroup", "no control groups here")


@pytest.fixture(scope="session")
def locked() -> Iterator[Sandbox]:
    """Landlock and seccomp without namespaces."""
    yield from _opened("landlock", "no Landlock here")


@pytest.fixture(scope="session")
def wrapped() -> Iterator[Sandbox]:
    """A fresh interpreter a run, in the namespaces of an installed bubblewrap."""
    yield from _opened("bubblewrap", "no bubblewrap here")


_FIXTURES = {
    "zygote_cgroup": "grouped",
    "zygote": "cage",
    "bubblewrap": "wrapped",
    "landlock": "locked",
    "rlimits": "bare",
}


@pytest.fixture(
    scope="session",
    params=["zygote", *(pytest.param(rung, marks=pytest.mark.slow) for rung in ("bubblewrap", "rlimits"))],
)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """The rungs with and without isolation, in turn."""
    found: Sandbox = request.getfixturevalue(_FIXTURES[request.param])
    return found


@pytest.fixture(scope="session", params=["zygote", "bubblewrap", "landlock"])
def filtered(request: pytest.FixtureRequest) -> Sandbox:
    """Every rung with a system call filter."""
    found: Sandbox = request.getfixturevalue(_FIXTURES[request.param])
    return found
