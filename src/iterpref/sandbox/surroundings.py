"""What a container or a cluster around this process withholds from the sandbox, and what its administrator can allow.

Namespaces need three things of what is around: that a user may make them, that a filter of system calls lets `unshare`
and `mount` through, and that a new `/proc` may be mounted, which the kernel refuses where parts of the old one are
covered. Docker, Kubernetes and their like withhold all three by default; a node of a cluster at most the first.
By their documentation; none of it was tried in such a place.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

WITH_NAMESPACES = ("zygote_cgroup", "zygote", "bubblewrap")


class Surrounding(NamedTuple):
    """`there`: by the environment's variables and a root directory. `ask`: what would allow namespaces in it."""

    name: str
    there: Callable[[Mapping[str, str], Path], bool]
    ask: str


_DOCKER = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
    "systempaths=unconfined; --privileged is not needed"
)
_KUBERNETES = (
    "set in the container's securityContext seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined} "
    "and procMount: Unmasked, in the pod's spec hostUsers: false, and admit such pods to the namespace (Pod Security "
    "level privileged)"
)
_APPTAINER = (
    "allow user namespaces on the node (as for Slurm), and start the image by them (apptainer exec --userns); or run "
    "iterpref outside of it, from a virtual environment on the node"
)
_SLURM = (
    "set on the compute nodes, which may be set up otherwise than the login nodes, sysctl "
    "user.max_user_namespaces=10000 and, where the system has them, kernel.unprivileged_userns_clone=1 (Debian) and "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); under Pyxis or Enroot what Docker needs as well"
)
# Several may be around each other; a pod's files may be Docker's.
SURROUNDINGS = (
    Surrounding("Slurm job", lambda environment, root: "SLURM_JOB_ID" in environment, _SLURM),
    Surrounding("Kubernetes pod", lambda environment, root: "KUBERNETES_SERVICE_HOST" in environment, _KUBERNETES),
    Surrounding(
        "Apptainer image",
        lambda environment, root: bool({"APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"} & {*environment}),
        _APPTAINER,
    ),
    Surrounding("Podman container", lambda environment, root: (root / "run/.containerenv").exists(), _DOCKER),
    Surrounding("Docker container", lambda environment, root: (root / ".dockerenv").exists(), _DOCKER),
)
OTHERWISE = (
    "where that can't be had, landlock, if it is not blocked, holds programs by itself; or let another machine run "
    "them (iterpref serve, and sandbox.service here)"
)


def around_us() -> dict[str, str | dict[str, str]]:
    """For where no namespaces can be had: what is around this process, and what to ask its administrator for."""
    asks = {place.name: f"ask its administrator to {place.ask}" for place in places()}
    seen = "; ".join(obstacles())
    return {**({"around": asks} if asks else {}), **({"seen": seen} if seen else {}), "otherwise": OTHERWISE}


def places(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> list[Surrounding]:
    """What is around this process, the outer ones first; nothing where no sign is known."""
    found = [place for place in SURROUNDINGS if place.there(environment, root)]
    in_pod = any(place.name == "Kubernetes pod" for place in found)
    return [place for place in found if not (in_pod and place.ask == _DOCKER)]


def obstacles(root: Path = Path("/")) -> list[str]:
    """What can be seen of the three, from the kernel's own account of this process."""
    found = []
    status = dict(line.split(":", 1) for line in _read(root / "proc/self/status").splitlines() if ":" in line)
    if status.get("Seccomp", "0").strip() == "2":
        found.append("a filter of system calls is on this process (Seccomp: 2)")
    profile = _read(root / "proc/self/attr/current").strip("\0\n ")
    if profile.endswith("(enforce)"):
        found.append(f"AppArmor holds it to the profile {profile}")
    mounts = [line.split() for line in _read(root / "proc/self/mountinfo").splitlines()]
    covered = sorted({words[4] for words in mounts if len(words) > 4 and words[4].startswith("/proc/")})
    if covered:
        found.append(f"parts of /proc are covered ({', '.join(covered[:3])}{', ...' if len(covered) > 3 else ''})")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
