"""Memory: what is free for a model on a device, and a word before its weights are loaded if that is too little.

Only what can't fit is refused: more than is free, swap included. What is near that is warned of. Free is what the
kernel calls available, or what a cgroup (a container, a batch system's job) leaves; the page cache counts as free.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from iterpref.errors import ClientError

logger = logging.getLogger(__name__)

_NEAR = 0.9
# Of a memory cgroup: its limit, what it uses, and what of that the kernel takes back when it must.
_CGROUPS = {
    2: ("", "memory.max", "memory.current", ("inactive_file", "active_file", "slab_reclaimable")),
    1: ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
}


class Room(NamedTuple):
    """Free bytes, and where. `spare` bytes more are at hand, but slow."""

    free: int
    where: str
    spare: int = 0


class Need(NamedTuple):
    """Lower bounds, in bytes. `weights` must be there at once; `whole` also counts what work with them adds."""

    weights: int
    whole: int
    parts: str
    """What the weights are, in words."""
    more: str = ""
    """What `whole` adds."""


def check_memory(model: str, need: Need, device: str, advice: str) -> None:
    """Refuse with a ClientError weights that can't fit on a torch device; warn of what is near the limit."""
    room = free_memory(device)
    if room is None:
        return
    if need.weights > room.free + room.spare:
        raise ClientError(
            f"model {model}: needs about {_size(need.weights)} of memory for {need.parts}, and {_size(room.free)} are "
            f"free {room.where}; {advice}"
        )
    if need.whole > _NEAR * room.free:
        logger.warning(
            "model %s: needs about %s of memory for %s%s, with more for the work itself, and %s are free %s; it may be "
            "killed on the way. What helps: %s",
            *(model, _size(need.whole), need.parts, need.more, _size(room.free), room.where, advice),
        )


def free_memory(device: str) -> Room | None:
    """What is free for a torch device; None where this can't be told."""
    if device.startswith("cuda"):
        return _free_on_gpu(device)
    return free_on_machine() if device == "cpu" else None


def free_on_machine(root: Path = Path("/")) -> Room | None:
    """What is free for this process on a Linux machine whose files are below `root`."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kernel = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    if "MemAvailable" not in kernel:
        return None
    room = Room(kernel["MemAvailable"], "on this machine")
    allowed = min(_left_in_cgroups(root), default=room.free)
    if allowed < room.free:
        room = Room(max(allowed, 0), "in this process's cgroup (a container's or job's limit)")
    return room._replace(spare=kernel.get("SwapFree", 0))


def _free_on_gpu(device: str) -> Room | None:
    import torch

    try:
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    except Exception:  # no such device: whatever loads the model says so
        return None
    return Room(free + unused, f"on {device}")


def _left_in_cgroups(root: Path) -> Iterator[int]:
    """For each memory cgroup around this process, how much more it may use."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, limit, used, reclaimable = _CGROUPS[1 if controllers else 2]
        top = root / "sys/fs/cgroup" / mount
        own = top / path.lstrip("/")  # in a container, this may be its path outside; then `top` is its own
        for folder in [own, *(above for above in own.parents if above == top or top in above.parents)]:
            try:
                most = (folder / limit).read_text().strip()
                now = int((folder / used).read_text())
                stat = dict(entry.split() for entry in (folder / "memory.stat").read_text().splitlines())
            except (OSError, ValueError):
                continue
            if most != "max":
                yield int(most) - now + sum(int(stat.get(name, 0)) for name in reclaimable)


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
