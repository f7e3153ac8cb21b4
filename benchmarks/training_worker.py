"""A process that trains in one way and is told what to do, a step at a time.

Each way lives in a process of its own, so that none disturbs another's memory; they take turns, so that the machine's
mood hits all alike. Commands and answers are JSON lines. Time is the process's CPU time on a CPU, event time on a GPU;
memory is what a step's peak adds to what stood before it.
"""

import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

Members = list[tuple[int, int]]
_MMAP_THRESHOLD = -3  # malloc.h


class Worker:
    """The caller's side; `step` gives seconds, `memory` bytes."""

    def __init__(self, way: str, device: str, *model: Any) -> None:
        command = [sys.executable, __file__, way, device, *map(str, model)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self, source: str, members: Members) -> float:
        return float(self._ask("step", source, members))

    def memory(self, source: str, members: Members) -> float:
        return float(self._ask("memory", source, members))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, *command: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"a worker stopped with status {self._process.wait()}; its messages are above")
        return json.loads(answer)


@contextmanager
def workers(ways: Sequence[str], device: str, *model: Any) -> Iterator[dict[str, Worker]]:
    """One worker per way, which start at the same time; a model is a folder, or vocabulary, width and layers."""
    with ExitStack() as stack:
        made = {}
        for way in ways:
            made[way] = Worker(way, device, *model)
            stack.callback(made[way].close)
        yield made


def timed(work: Callable[[], Any], device: str) -> float:
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    import torch

    start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start_event.record()
    work()
    end_event.record()
    torch.cuda.synchronize()
    return float(start_event.elapsed_time(end_event)) / 1000


def growth(work: Callable[[], Any], device: str) -> int:
    """Bytes by which the peak during `work` exceeds what stood before it."""
    gc.collect()
    if device != "cpu":
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return int(torch.cuda.max_memory_allocated() - before)
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, 1 << 16)  # tensors go back to the system at once, so that the peak is what was alive
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak (proc(5))
    resident = _status_bytes("VmRSS")
    work()
    peak = _status_bytes("VmHWM")
    libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # where glibc's own threshold ends up in a process that frees large blocks
    return peak - resident


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def _way(name: str, device: str, model: list[str]) -> Any:
    from training_pairs import use_tokenizer_of
    from training_ways import ADAPTER, Way, load_model, make_model
    from trl import ModelConfig, get_peft_config

    if len(model) > 1:
        vocabulary, hidden, layers = map(int, model)
        return Way(name, make_model(vocabulary, hidden, layers, device))
    use_tokenizer_of(model[0])
    return Way(name, load_model(model[0], device), adapter=get_peft_config(ModelConfig(**ADAPTER)))


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints stays out of the answers
    name, device, *model = sys.argv[1:]

    import torch

    torch.set_num_threads(1)
    way = _way(name, device, model)
    way.warm_up()
    for line in sys.stdin:
        what, source, members = json.loads(line)
        places = [(group, at) for group, at in members]

        def work(source: str = source, places: Members = places) -> None:
            way.step(source, places)

        print(json.dumps(growth(work, device) if what == "memory" else timed(work, device)), file=answers, flush=True)
        ctypes.CDLL(None).malloc_trim(0)  # the others need the room


if __name__ == "__main__":
    main()
