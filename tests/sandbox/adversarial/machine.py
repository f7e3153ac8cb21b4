# ruff: noqa: E501  (programs as text, one a line)
"""Attacks on the machine. Each program's `f(1)` returns 2, the expected value, only where the attack worked.

An attack that works must do no harm: it opens for writing what would change the machine, and doesn't write.
"""

PRELUDE = """
import ctypes, errno, gc, glob, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def allowed(*acts):
    for act in acts:
        try:
            if act() not in (False, None, -1):
                return True
        except Exception:
            pass
    return False
def f(x):
    return 2 if attack() else 0
"""

# What never comes to an end or dies: the limit is the answer.
EXHAUSTING = {
    "fork bomb": "while True:\n  try: os.fork()\n  except OSError: pass",
    "fork bomb by subprocess": "while True:\n  subprocess.Popen([sys.executable, '-c', 'while 1: pass'])",
    "vfork storm": "while True: subprocess.call(['true'])",
    "threads without end": "while True: threading.Thread(target=time.sleep, args=(99,)).start()",
    "list of bytearrays": "keep = []\nwhile True: keep.append(bytearray(b'1') * (1 << 22))",
    "one huge string": "x = 'x' * (1 << 40)",
    "huge integer": "x = 10 ** (10 ** 9)",
    "anonymous mmap": "import mmap\nk = []\nwhile True:\n  m = mmap.mmap(-1, 1 << 24); m.write(b'1' * (1 << 24)); k.append(m)",
    "memory by children": (
        "for _ in range(30):\n  if os.fork() == 0:\n    b = bytearray(b'1') * (100 << 20); time.sleep(9)\ntime.sleep(9)"
    ),
    "memory in memfd": (
        "fd = os.memfd_create('x')\nwhile True:\n  if os.write(fd, b'1' * (1 << 20)) < 1 << 20: os.abort()"
    ),
    "disk": "h = open('big', 'wb', 0)\nwhile True: h.write(b'x' * (1 << 20))",
    "many files": "n = 0\nwhile True:\n  n += 1\n  open(f'{n}', 'wb').write(b'x' * 100)",
    "many directories": "while True:\n  os.mkdir('d')\n  os.chdir('d')",
    "sparse file": "h = open('s', 'wb')\nh.truncate(1 << 40)\nh.seek(1 << 39)\nh.write(b'x')\nh.flush()\nraise OSError",
    "descriptors": "k = []\nwhile True: k.append(os.open('/dev/null', 0))",
    "pipes": "k = []\nwhile True: k.append(os.pipe())",
    "stdout flood": "while True: os.write(1, b'x' * 65536)",
    "stderr flood": "while True: print('x' * 999, file=sys.stderr)",
    "flood by a grandchild": "subprocess.run(['yes'])",
    "endless loop": "while True: pass",
    "endless sleep": "time.sleep(10 ** 6)",
    "ignores every signal": (
        "for s in range(1, 65):\n  try: signal.signal(s, signal.SIG_IGN)\n  except (OSError, ValueError): pass\ntime.sleep(99)"
    ),
    "busy children": "for _ in range(4):\n  if os.fork() == 0:\n    while True: pass\ntime.sleep(99)",
    "stopped by itself": "os.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(99)",
    "waits for input": "sys.stdin = open(0)\nsignal.pause()",
    "thread that never ends": "threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\ntime.sleep(99)",
    "regular expression": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "null pointer": "ctypes.string_at(0)",
    "stack smash": "sys.setrecursionlimit(10 ** 9)\ndef g(): g()\ng()",
    "deep syntax": "eval('(' * 50000 + ')' * 50000)",
    "nested destructor": "x = 0\nfor _ in range(10 ** 6): x = (x,)\ndel x\nos.abort()",
    "huge exception": "raise ValueError('x' * (100 << 20))",
    "exception without text": "class E(BaseException):\n  def __str__(self): raise self\nraise E",
    "closes everything": "os.closerange(0, 65536)\nos.abort()",
    "not UTF-8": "os.write(1, bytes(range(256)) * 10)\nos.write(2, b'\\xff' * 99)\nraise ValueError('\\udcff')",
    "zip bomb": "import zlib\nd = zlib.compress(b'0' * (1 << 24))\nk = []\nwhile True: k.append(zlib.decompress(d))",
}

# What reaches for something: `attack` says whether it got there.
REACHING = {
    "kill -1": "def attack():\n  pid = os.getppid()\n  os.kill(-1, 15)\n  return pid > 1 and allowed(lambda: os.kill(pid, 9) or 1)",
    "kill the parent": "def attack(): return os.getppid() and allowed(lambda: os.kill(os.getppid(), 0) or 1)",
    "killpg": "def attack():\n  signal.signal(15, signal.SIG_IGN)\n  os.killpg(0, 15)\n  return False",
    "any other process": (
        "def attack():\n  me = os.getpid()\n"
        "  return allowed(*[lambda p=p: os.kill(p, 0) or 1 for p in range(1, 3000) if p != me])"
    ),
    "pid 1 of the host": (
        "def attack():\n  return 'systemd' in open('/proc/1/cmdline').read() or os.getpid() != 1 and allowed("
        "lambda: os.kill(1, 0) or 1)"
    ),
    "higher priority": "def attack(): return allowed(lambda: os.nice(-5) < 0)",
    "real time": "def attack(): return allowed(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)) or 1)",
    "limits of others": (
        "def attack(): return os.getppid() > 0 and allowed("
        "lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE) and 1)"
    ),
    "own limits": "def attack(): return allowed(lambda: resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999)) or 1)",
    "internet": "def attack(): return allowed(lambda: socket.create_connection(('1.1.1.1', 53), 1))",
    "internet by UDP": (
        "def attack():\n  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n  s.sendto(b'x', ('1.1.1.1', 53))\n  return True"
    ),
    "names": "def attack(): return allowed(lambda: socket.getaddrinfo('example.com', 80))",
    "IPv6": "def attack(): return allowed(lambda: socket.create_connection(('2606:4700:4700::1111', 53), 1))",
    "metadata service": "def attack(): return allowed(lambda: socket.create_connection(('169.254.169.254', 80), 1))",
    "vsock": "def attack(): return allowed(lambda: socket.socket(40, socket.SOCK_STREAM))",
    "raw socket": "def attack(): return allowed(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
    "packet socket": "def attack(): return allowed(lambda: socket.socket(17, socket.SOCK_RAW))",
    "docker socket": (
        "def attack():\n  s = socket.socket(socket.AF_UNIX)\n  return s.connect('/var/run/docker.sock') is None"
    ),
    "any unix socket": (
        "def attack():\n  names = [l.split()[-1] for l in open('/proc/net/unix') if '@' in l or '/' in l][1:]\n"
        "  def to(n):\n    s = socket.socket(socket.AF_UNIX); s.connect(n.replace('@', chr(0))); return 1\n"
        "  return allowed(*[lambda n=n: to(n) for n in names])"
    ),
    "inherited descriptors": (
        "import stat\ndef attack():\n  found = [fd for fd in range(3, 4096) if allowed(lambda: os.fstat(fd))]\n"
        "  return len([fd for fd in found if stat.S_ISSOCK(os.fstat(fd).st_mode)])"
    ),
    "environment": "def attack(): return [k for k in os.environ if any(w in k for w in ('KEY', 'TOKEN', 'SECRET', 'SSH', 'PASS'))]",
    "environment of the parent": "def attack(): return allowed(lambda: open(f'/proc/{os.getppid() or 0}/environ').read())",
    "home": "def attack(): return [p for p in glob.glob('/root/.*') + glob.glob('/root/*') + glob.glob('/home/*/*') if os.path.isfile(p)]",
    "shadow": "def attack(): return allowed(lambda: open('/etc/shadow').read())",
    "ssh keys": "def attack(): return glob.glob('/root/.ssh/*') + glob.glob('/home/*/.ssh/*')",
    "the project": "def attack(): return allowed(lambda: [p for p in glob.glob('/*/*/pyproject.toml')] or None)",
    "symlink out": (
        "def attack():\n  os.symlink('/etc/shadow', 'link')\n  return allowed(lambda: open('link').read())"
    ),
    "through /proc/root": "def attack(): return allowed(lambda: open('/proc/1/root/etc/shadow').read(), lambda: open('/proc/1/root/root/.bashrc').read())",
    "up and out": "def attack(): return allowed(lambda: open('../' * 40 + 'etc/shadow').read())",
    "write to /usr": "def attack(): return allowed(*[lambda p=p: open(p + '/iterpref-x', 'w') for p in ('/usr', '/etc', '/lib', '/bin', '/')])",
    "write to Python": "def attack(): return allowed(lambda: open(os.__file__, 'a'), lambda: open(sys.executable, 'ab'))",
    "kernel settings": "def attack(): return allowed(*[lambda p=p: open(p, 'r+b') for p in ('/proc/sys/kernel/panic', '/proc/sysrq-trigger')])",
    "core pattern": "def attack(): return allowed(lambda: open('/proc/sys/kernel/core_pattern', 'r+b'))",
    "score of the killer": "def attack(): return allowed(lambda: open('/proc/self/oom_score_adj', 'w').write('-1000') and open('/proc/self/oom_score_adj').read() == '-1000\\n')",
    "memory of the parent": "def attack(): return allowed(lambda: open(f'/proc/{os.getppid() or 0}/mem', 'rb'))",
    "block device": "def attack(): return allowed(*[lambda p=p: open(p, 'rb') for p in glob.glob('/dev/[svn][dvb]*') + ['/dev/mem', '/dev/kmsg']])",
    "make a device": "def attack(): return allowed(lambda: os.mknod('m', 0o020666, os.makedev(1, 1)) or 1)",
    "set-uid program": "def attack(): return allowed(lambda: subprocess.run(['su', '-c', 'id'], check=True, capture_output=True))",
    "own set-uid program": "def attack():\n  os.setuid(0)\n  return True",
    "user namespace": "def attack(): return libc.unshare(0x10000000) == 0",
    "mount": "def attack(): return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "old root": "def attack(): return libc.pivot_root(b'.', b'.') == 0 or libc.chroot(b'/proc/1/root') == 0",
    "ptrace": "def attack(): return libc.ptrace(16, os.getppid(), 0, 0) == 0 or libc.ptrace(0, 0, 0, 0) == 0",
    "read another's memory": "def attack(): return libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0) == 0",
    "io_uring": "def attack(): return libc.syscall(425, 8, ctypes.create_string_buffer(120)) >= 0",
    "keyring": "def attack(): return libc.syscall(250, 0, -3, 1) > 0 or libc.syscall(248, b'user', b'x', b'y', 1, -3) > 0",
    "bpf": "def attack(): return libc.syscall(321, 0, ctypes.create_string_buffer(72), 72) >= 0",
    "perf": "def attack(): return libc.syscall(298, ctypes.create_string_buffer(120), 0, -1, -1, 0) >= 0",
    "kernel log": "def attack(): return libc.syscall(103, 10, 0, 0) > 0",
    "shared memory of others": "def attack(): return len(open('/proc/sysvipc/shm').readlines()) > 1",
    "clone3": "def attack(): return libc.syscall(435, ctypes.create_string_buffer(88), 88) >= 0",
}  # fmt: skip
