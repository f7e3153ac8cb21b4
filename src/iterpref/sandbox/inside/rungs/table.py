"""All rungs of isolation, the best first: the one list that host, zygote, self-test and doctor go by.

To add a rung: a file with its class (rung.py says what is asked of it) and an entry here. Loads no rung, for the host
reads this too.
"""

from typing import NamedTuple


class RungEntry(NamedTuple):
    """`made_by`: file and class. `walls`: what the self-test tries (`selftest.WALLS`). `warning`: what each Execution
    must say of itself; a rung that has one doesn't isolate. `breaks`: what honest programs do without on it."""

    made_by: str
    walls: tuple[str, ...]
    warning: str = ""
    breaks: tuple[str, ...] = ()


_OF_ALL = ("privileges", "root files", "secrets", "limits", "system calls", "vsock")
_OF_NAMESPACES = (*_OF_ALL, "root's rights", "capabilities", "processes", "own network")
_NOT_ISOLATED = (
    "NOT ISOLATED: programs run under resource limits only; they can read this user's files and use the network"
)

_WITHOUT_NAMESPACES = (
    "servers, on loopback too",
    "multiprocessing with shared_memory, managers or spawned children",
    "files in /tmp by that name",
)

RUNGS = {
    "zygote_cgroup": RungEntry("cgroups.CgroupNamespaces", _OF_NAMESPACES),
    "zygote": RungEntry("namespaces.Namespaces", _OF_NAMESPACES),
    "bubblewrap": RungEntry("bubblewrap.Bubblewrap", _OF_NAMESPACES),
    "landlock": RungEntry("landlock.Landlock", (*_OF_ALL, "no network", "reading"), breaks=_WITHOUT_NAMESPACES),
    "rlimits": RungEntry("rlimits.Rlimits", ("limits",), _NOT_ISOLATED),
}
