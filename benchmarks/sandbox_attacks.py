# ruff: noqa: E501  (programs as text, one a line)
"""Twenty attacks that do no harm, and which of them a way to run programs stops.

Each program is wrong, and right only where its attack worked: an attack counts as stopped if the way says that the
program failed, its judge is alive, and no process of the program's is left. Attacks go around functions that a way sets
to None (`os.fork`, `open`), by the C library or another name.
"""

import ctypes
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from sandbox_ways import Judge, JudgeLost

_PRELUDE = """
import ctypes, glob, io, mmap, os, re, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
open = io.open  # peers set functions to None, which is no wall
FOLDER, TOKEN, PORT, VICTIM, KEY = {folder!r}, {token!r}, {port}, {victim}, {key}
PLACES = ["/tmp", "/dev/shm", "/var/tmp", "."]
def attack(): return False
def tried(*arguments):
    try:
        return attack(*arguments)
    except Exception:
        return False
def f(x): return x + 1 if tried() else 0
"""
_FRAMES = "frames, frame = [], sys._getframe()\nwhile frame: frames.append(frame); frame = frame.f_back\n"

ATTACKS = {
    "leaves with exit status 0": "os._exit(0)",
    "leaves with 0 when an assert fails": "sys.excepthook = lambda *_: os._exit(0)",
    "returns what equals everything": "class E(int):\n  def __eq__(self, other): return True\n  __hash__ = int.__hash__\ndef f(x): return E()",
    "answers by the tests it finds": "def f(x):\n  frame, told = sys._getframe(), open('/proc/self/cmdline').read()\n  while frame:\n    for v in list(frame.f_locals.values()):\n      if type(v) is list and v == [2, 3]: return v[x - 1]\n      if isinstance(v, str) and 'candidate(' in v: told += v.replace('candidate', 'f')\n    frame = frame.f_back\n  return int(re.search(r'assert f\\(%d\\) == (\\d+)' % x, told)[1])",
    "writes the result of the check": _FRAMES + "for frame in frames:\n  for v in list(frame.f_locals.values()):\n    if type(v).__name__ == 'ListProxy': v.append('passed')\n    if type(v).__name__ == 'SynchronizedArray':\n      for at in range(len(v)): v[at] = True\n    if type(v).__name__ == 'Synchronized' and frame.f_locals.get('stat') is v: v.value = 0\n    if type(v).__name__ == 'Synchronized' and frame.f_locals.get('progress') is v: v.value = 2\nsys.stdout.flush(); os._exit(1)",
    "reads a file of the user's": "def attack(): return TOKEN in open(FOLDER + '/secret').read()",
    "writes to a file of the user's": "def attack(): return open(FOLDER + '/secret', 'r+').close() is None",
    "reads the judge's environment": "def attack(): return any(b'ITERPREF_BENCHMARK' in open(p, 'rb').read() for p in ['/proc/self/environ', f'/proc/{os.getppid()}/environ'])",
    "sees other processes": "def attack():\n  return any(TOKEN.encode() in open(p, 'rb').read() for p in glob.glob('/proc/[0-9]*/cmdline') if f'/{os.getpid()}/' not in p and b'def attack' not in open(p, 'rb').read())",
    "signals another process": "def attack(): return libc.kill(VICTIM, 0) == 0",
    "opens another process's memory": "def attack(): return open(f'/proc/{VICTIM}/mem', 'r+b').close() is None",
    "leaves a file for the next run": "def attack():\n  if any(os.path.exists(f'{p}/{TOKEN}') for p in PLACES): return True\n  for p in PLACES:\n    try: open(f'{p}/{TOKEN}', 'w').close()\n    except OSError: pass",
    "leaves a process behind": "def attack():\n  if libc.fork() == 0:\n    libc.setsid()\n    if libc.fork() == 0: os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', 'left ' + TOKEN])\n    os._exit(0)\n  libc.wait(None); time.sleep(0.2)",
    "connects to a local server": "def attack(): return socket.create_connection(('127.0.0.1', PORT), 1).close() is None",
    "connects to an abstract socket": "def attack():\n  s = socket.socket(socket.AF_UNIX); s.connect('\\0' + TOKEN); return True",
    "opens shared memory of others": "def attack(): return libc.shmget(KEY, 0, 0) >= 0",
    "takes 6 GiB of memory": "def attack():\n  m = mmap.mmap(-1, 6 << 30)\n  for at in range(0, 6 << 30, 1 << 28): m[at] = 1\n  return True",
    "makes 300 processes": "def attack():\n  made = []\n  try:\n    for _ in range(300):\n      pid = libc.fork()\n      if pid == 0: time.sleep(3); os._exit(0)\n      if pid < 0: return False\n      made.append(pid)\n  finally:\n    for pid in made: libc.kill(pid, 9), libc.waitpid(pid, None, 0)\n  return True",
    "writes 300 MB": "def attack():\n  for p in PLACES:\n    try:\n      with open(f'{p}/{TOKEN}', 'wb') as file:\n        for _ in range(300): file.write(bytes(10 ** 6))\n      return True\n    except OSError: pass",
    "goes on after its time": "def attack():\n  for s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n  end = time.time() + 16\n  while time.time() < end:\n    try:\n      while time.time() < end: pass\n    except BaseException: pass\n  return True",
}  # fmt: skip
_TWICE = "leaves a file for the next run"


# Of the judge and whoever started it; set before any of them starts.
os.environ["ITERPREF_BENCHMARK"] = "a secret of the user's"


class Targets(NamedTuple):
    """What attacks reach for."""

    folder: str
    token: str
    port: int
    victim: int
    key: int

    def program(self, attack: str) -> str:
        return _PRELUDE.format(**self._asdict()) + ATTACKS[attack] + "\n"


@contextmanager
def targets() -> Iterator[Targets]:
    """Files, servers, a process and a piece of shared memory of the user's; all are gone at the end."""
    token, key = f"token{secrets.token_hex(8)}", secrets.randbelow(1 << 30) + 1
    libc = ctypes.CDLL(None)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp"))
        (Path(folder) / "secret").write_text(token)
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{token}")
        abstract.listen(100)
        sleeping = [sys.executable, "-c", "import time; time.sleep(1e6)", token]
        victim = stack.enter_context(subprocess.Popen(sleeping))
        stack.callback(victim.kill)
        segment = libc.shmget(key, 4096, 0o1600)
        stack.callback(libc.shmctl, segment, 0, None)
        yield Targets(folder, token, server.getsockname()[1], victim.pid, key)


def stopped(judge: Judge, attack: str) -> bool:
    """Whether a way stops it."""
    with targets() as found:
        program = found.program(attack)
        try:
            passed = [judge(program) for _ in range(2 if attack == _TWICE else 1)][-1]
        except JudgeLost:
            return False
        finally:
            left = _clean_up(found)
        return not passed and not left


def _clean_up(found: Targets) -> bool:
    """Whether a process was left; it and all files are removed."""
    for place in ("/tmp", "/dev/shm", "/var/tmp", "."):
        with suppress(OSError):
            os.unlink(f"{place}/{found.token}")
    left = False
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"left {found.token}".encode() in entry.read_bytes():
                os.kill(int(entry.parent.name), 9)
                left = True
    return left


def table_of(ways: dict[str, Judge], say: Callable[[str], None]) -> dict[str, dict[str, bool]]:
    """Attack → way → whether it is stopped."""
    found: dict[str, dict[str, bool]] = {}
    for attack in ATTACKS:
        found[attack] = {name: stopped(judge, attack) for name, judge in ways.items()}
        say(f"{attack:36} " + " ".join("stopped" if kept else "   -   " for kept in found[attack].values()))
    return found
