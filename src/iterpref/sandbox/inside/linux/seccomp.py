"""The system call filter of a run, on x86-64 and 64-bit ARM: which doors of the kernel are shut.

A list of what is refused, not of what is allowed: honest programs use far more calls than attackers need, and
namespaces (or Landlock) hold them. Refused are what namespaces do not cover (`AF_VSOCK`, `io_uring`, the keyring), what
widens the kernel's attack surface (`bpf`, `perf_event_open`, `userfaultfd`), and what undoes a confinement (`mount`,
`setns`, `ptrace`). `clone3` hides its flags from filters and "does not exist", so that libraries use `clone`.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterable, Sequence

from . import syscalls

_LOAD, _EQUALS, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ERRNO = 0x80000000, 0x00050000
_ALLOW = (_RETURN, 0, 0, 0x7FFF0000)
_NR, _ARCH = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000  # the third calling convention of x86-64, with numbers of its own
_NEW_NAMESPACES = 0x7E020000  # all CLONE_NEW* flags that `clone` takes
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # type into the terminal
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# Name: numbers on x86-64 and 64-bit ARM; None where it does not exist.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    "open_tree_attr": (467, 467), "unshare": (272, 97), "setns": (308, 268), "sethostname": (170, 161),
    "setdomainname": (171, 162), "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "syslog": (103, 116), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "personality": (135, 92), "vhangup": (153, 58),
}  # fmt: skip
_ABSENT: dict[str, tuple[int, int]] = {
    "clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
# Without namespaces of one's own these reach the host's other processes; paths are Landlock's affair.
_SHARED_IPC: dict[str, tuple[int, int]] = {
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
}  # fmt: skip
_KILL_CALL, _TGKILL, _SIGQUEUE = (62, 129), (234, 131), (129, 138)  # the first argument is a process
_OTHER_SIGNALS = ((200, 130), (297, 240), (424, 424))  # tkill, rt_tgsigqueueinfo, pidfd_send_signal
_SOCKET, _SOCKETPAIR, _CLONE, _IOCTL, _PRLIMIT64 = (41, 198), (53, 199), (56, 220), (16, 29), (302, 261)

# What a zygote with namespaces calls to set up each run, and no run may call: with these excepted the filter is put on
# the zygote, once. A run inherits that for nothing and adds only these.
SETUP = ("unshare", "setns", "mount", "mount_setattr", "io_uring_register")

Instruction = tuple[int, int, int, int]


def available() -> str:
    """Why no filter can be installed here; "" if it can."""
    machine = os.uname().machine
    if sys.platform != "linux":
        return f"seccomp needs Linux, this is {sys.platform}"
    if machine not in _ARCHITECTURES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return f"no system call numbers for {machine}; known: {', '.join(_ARCHITECTURES)}, 64 bit"
    if not os.path.exists("/proc/sys/kernel/seccomp"):
        return "the kernel was built without seccomp"
    return ""


class Filter:
    """A compiled filter; `install` is one system call. Made by `confinement` or `refusing`."""

    def __init__(self, code: Sequence[Instruction]) -> None:
        packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
        self.code = packed  # an array of `struct sock_filter`
        self._code = ctypes.create_string_buffer(packed, len(packed))
        self._header = ctypes.create_string_buffer(struct.pack("=H6xQ", len(code), ctypes.addressof(self._code)), 16)
        self.installing = syscalls.filtering(ctypes.addressof(self._header))

    def install(self) -> None:
        """On this process and all it starts, for good, on top of what it has. Needs `syscalls.NO_NEW_PRIVILEGES`."""
        syscalls.run(self.installing)


def confinement(*, own_network: bool, signals_to: int = 0, leave: Sequence[str] = ()) -> Filter:
    """The filter of a run.

    Args:
        own_network: Whether the process has network and IPC namespaces of its own. Without, it gets no socket but
            connected pairs, no System V IPC, and may not touch the limits of other processes.
        signals_to: The only process that may be sent signals; 0 where something else sees to that.
        leave: Calls that are not refused yet; `refusing` adds them later.
    """
    return Filter(_program(*_ARCHITECTURES[os.uname().machine], own_network, signals_to, leave))


def refusing(names: Sequence[str]) -> Filter:
    """A filter that refuses these calls and nothing else, for use on top of `confinement`, which checks the rest."""
    column = _ARCHITECTURES[os.uname().machine][1]
    return Filter([(_LOAD, 0, 0, _NR), *_refuse(names, column), _ALLOW])


def _refuse(names: Iterable[str], column: int) -> list[Instruction]:
    code = []
    for name in names:
        number = (_REFUSED | _SHARED_IPC | _ABSENT)[name][column]
        if number is not None:
            code += _on_call(number, [_error(errno.ENOSYS if name in _ABSENT else errno.EPERM)])
    return code


def _program(
    architecture: int, column: int, own_network: bool, signals_to: int, leave: Sequence[str]
) -> list[Instruction]:
    code = [(_LOAD, 0, 0, _ARCH), (_EQUALS, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NR)]
    if column == 0:
        code += [(_AT_LEAST, 0, 1, _X32), _error(errno.ENOSYS)]
    refused = [*_REFUSED, *(() if own_network else _SHARED_IPC), *_ABSENT]
    code += _refuse([name for name in refused if name not in leave], column)
    families = (_AF_UNIX, _AF_INET, _AF_INET6) if own_network else ()
    code += _on_call(_SOCKET[column], _socket(families, netlink=own_network))
    code += _on_call(_SOCKETPAIR[column], _socket((_AF_UNIX,), netlink=False))
    code += _on_call(_CLONE[column], [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _error(errno.EPERM), _ALLOW])
    terminal = [line for request in (_TIOCSTI, _TIOCLINUX) for line in ((_EQUALS, 0, 1, request), _error(errno.EPERM))]
    code += _on_call(_IOCTL[column], [_argument(1), *terminal, _ALLOW])
    if not own_network:
        itself = [_argument(0), (_EQUALS, 1, 0, 0), _error(errno.EPERM), _ALLOW]
        code += _on_call(_PRLIMIT64[column], itself)
    if signals_to:
        for call in (_KILL_CALL, _TGKILL, _SIGQUEUE):
            code += _on_call(call[column], [_argument(0), (_EQUALS, 1, 0, signals_to), _error(errno.EPERM), _ALLOW])
        for call in _OTHER_SIGNALS:
            code += _on_call(call[column], [_error(errno.EPERM)])
    return [*code, _ALLOW]


def _on_call(number: int, body: list[Instruction]) -> list[Instruction]:
    """Do `body`, which returns, if the call has this number."""
    return [(_EQUALS, 0, len(body), number), *body]


def _socket(families: tuple[int, ...], netlink: bool) -> list[Instruction]:
    """Allow only these families; of netlink only routing, which name resolution asks for the own addresses."""
    body: list[Instruction] = [_argument(0)]
    for family in families:
        body += [(_EQUALS, 0, 1, family), _ALLOW]
    if netlink:
        body += [(_EQUALS, 0, 3, _AF_NETLINK), _argument(2), (_EQUALS, 0, 1, 0), _ALLOW]
    return [*body, _error(errno.EAFNOSUPPORT)]


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index)  # the low half, little-endian


def _error(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)
