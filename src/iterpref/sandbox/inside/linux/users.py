"""Whose rights a worker and its runs have. Standard library only."""

import os

RUN_UID = 64_321  # what a worker started by root becomes: NPROC is ignored for root


def is_root() -> bool:
    """Whether this process can turn into other users: uid 0, and not of a user namespace that has no other uid."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map") as file:
            ranges = [[int(number) for number in line.split()] for line in file]
    except OSError:
        return True  # no user namespaces at all
    return any(first <= RUN_UID and first + count >= RUN_UID + 1000 for first, _, count in ranges)


def become(uid: int) -> None:
    """Leave root for a user and group without any other right."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def others_may_enter(path: str) -> bool:
    """Whether any user can reach a path."""
    parts = os.path.realpath(path).split("/")
    ancestors = ["/".join(parts[:stop]) or "/" for stop in range(1, len(parts) + 1)]
    return all(os.stat(ancestor).st_mode & 0o005 == 0o005 for ancestor in ancestors if os.path.exists(ancestor))
