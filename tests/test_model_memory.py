"""What is free for a model: on this machine, and by files made as the kernel writes them in a container."""

import logging

import pytest

from iterpref.errors import ClientError
from iterpref.model_source.memory import Need, check_memory, free_memory, free_on_machine

GIB = 2**30


def write(root, path, text) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def machine(tmp_path):
    """16 GiB free, and 2 GiB of swap."""
    lines = [
        f"MemTotal: {32 << 20} kB",
        f"MemAvailable: {16 << 20} kB",
        f"SwapFree: {2 << 20} kB",
        "HugePages_Total: 0",
    ]
    write(tmp_path, "proc/meminfo", "\n".join(lines))
    return tmp_path


def test_bad_input_weights_that_cannot_fit_are_refused_and_near_ones_warned_of(caplog):
    """On this machine as it is."""
    room = free_memory("cpu")
    if room is None:
        pytest.skip("this system doesn't say how much memory is free")
    too_large = 2 * (room.free + room.spare)
    with pytest.raises(
        ClientError, match=r"model m: needs about .* of memory for its weights, and .* free .*; take it"
    ):
        check_memory("m", Need(too_large, too_large, "its weights"), "cpu", "take it away")
    with caplog.at_level(logging.WARNING):
        check_memory("m", Need(1, 1 << 20, "its weights"), "cpu", "take it away")
        assert caplog.text == ""
        check_memory("m", Need(1, too_large, "its weights", " and gradients"), "cpu", "take it away")
    assert "of memory for its weights and gradients, with more for the work itself" in caplog.text


def test_a_device_of_which_nothing_is_known_refuses_nothing():
    check_memory("m", Need(1 << 60, 1 << 60, "its weights"), "meta", "take it away")
    check_memory("m", Need(1 << 60, 1 << 60, "its weights"), "cuda:99", "take it away")


def test_memory_of_a_machine_without_a_container(machine):
    room = free_on_machine(machine)
    assert (room.free, room.spare, room.where) == (16 * GIB, 2 * GIB, "on this machine")
    write(machine, "proc/self/cgroup", "0::/user.slice/job\n")
    write(machine, "sys/fs/cgroup/user.slice/memory.max", "max\n")
    assert free_on_machine(machine).free == 16 * GIB


@pytest.mark.parametrize("path", ["/", "/system.slice/job"])
def test_memory_of_a_container_of_cgroups_2(machine, path):
    """The limit may be this group's, or that of one above it. Cached files are given back when they must be."""
    write(machine, "proc/self/cgroup", f"0::{path}\n")
    write(machine, "sys/fs/cgroup/memory.max", f"{8 * GIB}\n")
    write(machine, "sys/fs/cgroup/memory.current", f"{5 * GIB}\n")
    write(machine, "sys/fs/cgroup/memory.stat", f"anon {GIB}\ninactive_file {2 * GIB}\nactive_file {GIB}\n")
    room = free_on_machine(machine)
    assert room.free == 6 * GIB
    assert "cgroup" in room.where


def test_memory_of_a_container_of_cgroups_1(machine):
    """A container sees its own group at the top, under whatever path the host gave it."""
    write(machine, "proc/self/cgroup", "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/\n")
    write(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{4 * GIB}\n")
    write(machine, "sys/fs/cgroup/memory/memory.usage_in_bytes", f"{3 * GIB}\n")
    write(machine, "sys/fs/cgroup/memory/memory.stat", f"inactive_file 0\ntotal_inactive_file {GIB}\n")
    assert free_on_machine(machine).free == 2 * GIB
    write(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert free_on_machine(machine).free == 16 * GIB


def test_a_system_that_tells_no_memory(tmp_path):
    assert free_on_machine(tmp_path) is None
