"""What became of the runs behind rewards, for a trainer's log."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from iterpref.records import Execution


@dataclass
class RewardMetrics:
    """Counts since the beginning; a snapshot of them is for the log of one step.

    `late`: no answer at the batch's deadline. `unusable_rows`: those whose tests can't be run. `no_verdict`: all
    rewards that are None, by these or because the sandbox broke; they say nothing about the program. `no_program`:
    replies without one. `timeouts`: programs that used up their time. `second_runs`: those that needed more than the
    first part of it.
    """

    batches: int = 0
    rewards: int = 0
    runs: int = 0
    passed: int = 0
    timeouts: int = 0
    second_runs: int = 0
    late: int = 0
    no_verdict: int = 0
    no_program: int = 0
    unusable_rows: int = 0
    run_s: float = 0.0
    """Wall time of all runs, added up."""
    queue_s: float = 0.0
    """Time that runs waited for a worker, added up."""
    batch_s: float = 0.0
    """Wall time of the batches."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **counts: float) -> bool:
        """Add to the counts; whether each of them was more than 0 before."""
        with self._lock:
            before = {name: getattr(self, name) for name in counts}
            for name, amount in counts.items():
                setattr(self, name, before[name] + amount)
        return all(before.values())

    def ran(self, execution: Execution) -> None:
        self.add(runs=1, passed=execution.passed, timeouts=execution.verdict == "timeout")

    def snapshot(self) -> Counter[str]:
        """The counts now; one snapshot minus an earlier one is what came between."""
        with self._lock:
            return Counter({name: value for name, value in vars(self).items() if not name.startswith("_")})
