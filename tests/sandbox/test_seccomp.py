"""The system calls that a run may not make, on the rungs that filter them."""

import os
import subprocess
import sys
import textwrap

import pytest
from jobs import returns

from iterpref.sandbox import Sandbox
from iterpref.sandbox.inside.linux.seccomp import _ABSENT, _ARCHITECTURES, _REFUSED, available

pytestmark = pytest.mark.skipif(bool(available()), reason=available() or "seccomp works here")

SYSCALLS = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def f(*numbers):
    wrong = []
    for number in numbers:
        done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
        if done != -1 or ctypes.get_errno() != EXPECTED:
            wrong.append((number, done, errno.errorcode.get(ctypes.get_errno())))
    return wrong
"""


@pytest.mark.parametrize(("table", "error"), [(_REFUSED, "EPERM"), (_ABSENT, "ENOSYS")], ids=["refused", "absent"])
def test_calls_end_with_their_error(filtered: Sandbox, table: dict[str, tuple[int, int]], error: str) -> None:
    """With all arguments 0 none of them would give EPERM for lack of a right alone in all cases, nor do harm."""
    column = _ARCHITECTURES[os.uname().machine][1]
    numbers = [row[column] for row in table.values() if row[column] is not None]
    program = SYSCALLS.replace("EXPECTED", f"errno.{error}")
    execution = filtered.run(returns(program, [], *numbers))
    assert execution.passed, execution.failing_case


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [(40, 1, 0), (16, 3, 9), (17, 3, 0), (38, 5, 0), (31, 3, 0), (44, 3, 0)],
    ids=["vsock", "netlink audit", "packet", "crypto", "bluetooth", "xdp"],
)
def test_socket_families(filtered: Sandbox, family: int, kind: int, protocol: int) -> None:
    program = """
import errno, socket
def f(*args):
    try:
        socket.socket(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "opened"
"""
    assert filtered.run(returns(program, "EAFNOSUPPORT", family, kind, protocol)).passed


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("libc.syscall(SYS_clone, 0x10000000 | 17, 0, 0, 0, 0)", id="clone into a user namespace"),
        pytest.param("libc.ioctl(0, 0x5412, b'x')", id="type into a terminal"),
        pytest.param("libc.ioctl(0, ctypes.c_ulong(0xdead00005412), b'x')", id="high bits of the request"),
        pytest.param("libc.syscall(SYS_ptrace, 0, 0, 0, 0)", id="trace me"),
    ],
)
def test_arguments_are_looked_at(filtered: Sandbox, call: str) -> None:
    column = _ARCHITECTURES[os.uname().machine][1]
    call = call.replace("SYS_clone", str((56, 220)[column])).replace("SYS_ptrace", str((101, 117)[column]))
    program = f"""
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def f():
    return {call}, errno.errorcode.get(ctypes.get_errno())
"""
    assert filtered.run(returns(program, (-1, "EPERM"))).passed


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is of x86-64")
def test_the_x32_numbers_do_not_exist(filtered: Sandbox) -> None:
    program = "import ctypes\ndef f():\n    return ctypes.CDLL(None).syscall(0x40000000 + 41, 40, 1, 0)"
    assert filtered.run(returns(program, -1)).passed


def test_children_are_filtered_too(filtered: Sandbox) -> None:
    inner = "import socket\ntry: socket.socket(40)\nexcept OSError as e: print(e.errno)"
    program = f"""
import subprocess, sys
def f():
    return subprocess.check_output([sys.executable, "-c", {inner!r}]).decode().strip()
"""
    assert filtered.run(returns(program, "97")).passed


def test_the_same_calls_work_without_a_filter() -> None:
    """The control: outside a sandbox `clone3` exists, so that what the tests above see is the filter."""
    script = "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nprint(c.syscall(435, 0, 0), ctypes.get_errno())"
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-1", "22"], "clone3 without arguments is EINVAL where nothing filters it"
