"""What a service allows, and the rules that no choice may break."""

from dataclasses import dataclass

from iterpref.errors import ConfigError
from iterpref.listening import check_reach
from iterpref.records import Limits
from iterpref.sandbox import Job

MIB = 1 << 20
PATIENCE = 10  # times its limits, a job may take where its reference says that it needs them (sandbox.py)
MOST = Limits(cpu_s=300.0, wall_s=600.0, memory_bytes=8 << 30, processes=512, open_files=1024, file_bytes=1 << 30,
              output_bytes=16 * MIB)  # fmt: skip


@dataclass(frozen=True)
class ServiceSettings:
    """What one service allows.

    Args:
        host, port: Where it listens; port 0 takes a free one.
        token: What requests must carry (`Authorization: Bearer`); needed where other machines can reach the host.
        queue: Jobs that may wait beside those that run; further ones are refused with 429.
        body_bytes, body_s: Of one request: how large, and how long it may take to arrive.
        most: The highest limits that a job may ask for.
        grace_s: At the end, requests that are answered still get so long.

    Raises:
        ConfigError: Another host than this machine's own without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    queue: int = 256
    body_bytes: int = 32 * MIB
    body_s: float = 30.0
    most: Limits = MOST
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        if self.queue < 0:
            raise ConfigError(f"queue: got {self.queue}, expected 0 or more jobs")
        check_reach(self.host, self.token)

    def refused(self, job: Job) -> str:
        """Which limit of a job is too high, as a message; "" if none is. With a reference it may take more time."""
        limits = job.limits
        if job.reference is not None:
            limits = limits.at_least(PATIENCE * limits.cpu_s, PATIENCE * limits.wall_s)
        high = [
            f"{name} {value:g} (at most {most:g})"
            for name, most in self.most.model_dump(exclude_none=True).items()
            if (value := getattr(limits, name)) is not None and value > most
        ]
        why = f"; with a reference a job may take {PATIENCE:g} times its limits" if job.reference is not None else ""
        return f"limits: {', '.join(high)}{why}" if high else ""
