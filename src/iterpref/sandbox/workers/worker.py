"""The host's end of one zygote process: start it, hand it runs from one thread at a time, notice when it breaks."""

import json
import marshal
import os
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..inside.values.request import ProbeRequest, RunRequest, Setup, probe
from ..inside.worker import boot, wire
from ..inside.worker.wire import RawRun

# Bounds on what only hangs: a machine that is merely busy must not reach them.
_START_S = 300.0
_GRACE_S = 60.0  # on top of a run's wall limit, before the zygote counts as hung
_CLOSE_S = 30.0  # for the launcher to end all it started and remove its files


class RungRefused(Exception):
    """The machine doesn't allow this rung; the message says why."""


class WorkerBroken(Exception):
    """The worker died or lost the protocol. Says nothing about the program; a fresh worker may succeed."""


class Worker:
    """A running zygote; may raise `RungRefused` or `WorkerBroken` on start."""

    main = (
        f"from {boot.PACKAGE}.worker import atfork; atfork.note(); "
        f"from {boot.PACKAGE}.zygote import main; main(int(sys.argv[2]))"
    )

    def __init__(self, isolation: str, preload: Sequence[str], hash_seed: int = 0) -> None:
        self.runs = 0
        self._isolation = isolation
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the worker)
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._process = subprocess.Popen(
            boot.command(self.main, theirs.fileno()),
            env=environment() | {"PYTHONHASHSEED": str(hash_seed), boot.BINDING: "1"},
            cwd="/",
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,  # a Ctrl-C in the terminal is for the host alone
        )
        theirs.close()
        setup = Setup(
            isolation=isolation, preload=list(preload), path=import_path(), python_dirs=python_dirs(), prefix=sys.prefix
        )
        try:
            answer = json.loads(self._exchange(_START_S, json.dumps(setup).encode())[0])
            if "refused" in answer:
                raise RungRefused(answer["refused"])
            if "ready" not in answer:
                raise WorkerBroken(answer.get("broken", str(answer)))
        except BaseException:
            self.close()
            raise

    def run(self, request: RunRequest | ProbeRequest, stdin: bytes = b"") -> RawRun:
        """One run in a fresh process; `WorkerBroken` if the zygote died, hung, or could not set up the run."""
        self.runs += 1
        timeout_s = request["limits"]["wall_s"] + _GRACE_S
        raw = wire.unpack_run(self._exchange(timeout_s, _marshalled(request), stdin))
        if raw.setup_error:
            raise WorkerBroken(f"the run's process could not be set up: {raw.setup_error}")
        return raw

    def probe(self) -> None:
        """A trial run that tests the isolation; `WorkerBroken` if it fails."""
        raw = self.run(probe(self._isolation))
        if raw.status != 0:
            said = raw.stderr.decode(errors="replace")[-500:]
            raise WorkerBroken(f"a trial run ended with status {raw.status}: {said}")

    def _exchange(self, timeout_s: float, *parts: bytes) -> list[bytes]:
        try:
            self._socket.settimeout(timeout_s)
            wire.send(self._socket, *parts)
            return wire.receive(self._socket)
        except (wire.WireError, OSError) as error:
            reason = str(error) or f"no answer in {timeout_s} s"
            raise WorkerBroken(": ".join(filter(None, (reason, self._last_words())))) from error

    def _last_words(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        return self._log.read().decode(errors="replace").strip()

    def close(self) -> None:
        """Hang up, which ends the zygote, and with it everything it started."""
        self._socket.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def pid(self) -> int:
        """Process id of the launcher."""
        return self._process.pid


def _marshalled(request: Any) -> bytes:
    try:
        return marshal.dumps(request)
    except ValueError:  # a text of a class derived from str, as some libraries' tables hold
        return marshal.dumps(json.loads(json.dumps(request)))


def environment() -> dict[str, str]:
    """Everything a program sees of the environment: nothing of the host's but where the linker looks."""
    one_thread = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
    library_path = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    return {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc reserves 64 MiB of address space for each
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # mimalloc wants 1 GiB of it; pandas then failed at times under a limit
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **{f"{name}_NUM_THREADS": "1" for name in one_thread},
        **library_path,
    }


def import_path() -> list[str]:
    """`sys.path` of a program: the standard library and the installed packages; not the host's own sources."""
    standard = Path(sysconfig.get_path("stdlib"))
    paths = [standard.parent / f"python{sys.version_info[0]}{sys.version_info[1]}.zip", standard]
    paths += [standard / "lib-dynload", *map(Path, site.getsitepackages())]
    if site.ENABLE_USER_SITE:
        paths.append(Path(site.getusersitepackages()))
    return [str(path) for path in paths if os.path.isdir(path) or path.suffix == ".zip"]


def python_dirs() -> list[str]:
    """Directories that must be visible for Python and its packages to work."""
    dirs = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve().parent.parent)}
    dirs |= {path for path in import_path() if os.path.isdir(path)}
    return sorted(dirs)
