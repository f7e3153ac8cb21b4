"""The file tree of a run: system and Python directories read-only, a few devices, nothing of the host's users."""

import os

from . import syscalls

INNER_UID = 1000  # what a program sees itself as
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
ETC = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
    "/etc/mime.types",
)  # fmt: skip
ASIDE = "/.aside"  # where directories wait that a run's own /tmp would hide
_DEVICES = ("null", "zero", "full", "random", "urandom")
_MOUNT_POINTS = ("/mnt", "/media", "/srv", "/opt", "/home", "/tmp")
ETC_FILES = {  # instead of the host's
    "passwd": f"sandbox:x:{INNER_UID}:{INNER_UID}::/tmp:/bin/sh\n",
    "group": f"sandbox:x:{INNER_UID}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def build_root(python_dirs: list[str]) -> tuple[str, list[str]]:
    """Mount the new root on some directory of the old one; still writable, for the caller to mount /proc.

    To be called in a mount namespace of one's own. Returns the root, and the paths below /tmp, which wait in `ASIDE`
    too, for `show_aside`. Raises `OSError` where a mount was refused.
    """
    shown = visible_directories(python_dirs)
    taken = [f"{path}/" for path in shown]
    free = (p for p in _MOUNT_POINTS if os.path.isdir(p) and not any(path.startswith(f"{p}/") for path in taken))
    root = next(free, None)
    if root is None:
        raise OSError(2, f"none of {', '.join(_MOUNT_POINTS)} can serve as mount point of the new root")
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", root, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=4m")
    aside = [source for source in shown if source.startswith("/tmp/")]
    for source in shown:
        _show(source, root)
    for source in aside:
        _show(source, root, ASIDE)
    for name in ("proc", "tmp", "dev", "etc"):
        os.makedirs(f"{root}/{name}", mode=0o755, exist_ok=True)
    _fill_etc(root)
    _fill_dev(root)
    return root, aside


def show_aside(paths: list[str]) -> None:
    """In a run, after its own /tmp is mounted: put the directories which that hides back into their places."""
    for path in paths:
        os.makedirs(path, mode=0o755, exist_ok=True)
        syscalls.bind(ASIDE + path, path)


def _fill_etc(root: str) -> None:
    for path in ETC:
        if os.path.exists(path):
            _show(path, root)
    for name, content in ETC_FILES.items():
        with open(f"{root}/etc/{name}", "w") as file:
            file.write(content)


def _fill_dev(root: str) -> None:
    for name in _DEVICES:
        _touch(f"{root}/dev/{name}")
        syscalls.bind(f"/dev/{name}", f"{root}/dev/{name}")
        syscalls.protect(f"{root}/dev/{name}", writable=True, devices=True)
    links = {"fd": "/proc/self/fd", "shm": "/tmp/shm"}
    links |= {name: f"/proc/self/fd/{fd}" for fd, name in enumerate(("stdin", "stdout", "stderr"))}
    for name, target in links.items():
        os.symlink(target, f"{root}/dev/{name}")


def visible_directories(python_dirs: list[str]) -> list[str]:
    """Directories to show, parents first, none inside another."""
    named = {path for path in (*SYSTEM, *python_dirs) if os.path.isdir(path) and path != "/"}
    real = {os.path.realpath(path) for path in named if path not in SYSTEM}  # what links among Python's lead to
    kept: list[str] = []
    for path in sorted(named | real):  # a parent sorts before what it holds
        shown = [f"{parent}/" for parent in kept if not os.path.islink(parent)]
        if not path.startswith(tuple(shown)):
            kept.append(path)
    return kept


def _show(source: str, root: str, folder: str = "") -> None:
    """Put a host path, read-only, at the same place under `folder` of the new root; a link stays a link."""
    target = root + folder + source
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.islink(source) and source in SYSTEM:
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        _touch(target)
    syscalls.bind(os.path.realpath(source), target)
    syscalls.protect(target)


def _touch(path: str) -> None:
    with open(path, "w"):
        pass


def memory_file(content: bytes, over_exec: bool = False) -> int:
    """A descriptor to read `content` from, of a file without a name; `over_exec`: it survives exec."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("stdin", 0 if over_exec else os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
