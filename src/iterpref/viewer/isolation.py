"""How the programs behind a report's numbers were isolated, and what their executions warned of."""

from collections import Counter
from dataclasses import dataclass, field

from iterpref.records import Execution


@dataclass
class IsolationFacts:
    """On which rungs programs ran, how far verdicts can be believed, and what executions warned of."""

    rungs: Counter[str] = field(default_factory=Counter)
    trust: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    def add(self, execution: Execution) -> None:
        self.rungs[execution.isolation] += 1
        self.trust[execution.trust] += 1
        self.warnings.update(execution.warnings)

    @property
    def unsafe(self) -> int:
        """Executions with resource limits only: the program could read and write what its user can."""
        return self.rungs["rlimits"]
