"""Where and how programs are run."""

from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from iterpref.records import Isolation
from iterpref.sandbox import RUNGS
from iterpref.section import Section


class SandboxConfig(Section):
    """How programs are run."""

    workers: int | None = Field(default=None, gt=0)
    """Parallel executions; default: one per core this process may use."""
    isolation: Isolation = "auto"
    """Which rung to use; `auto` takes the highest that this machine permits."""
    min_isolation: Isolation | None = None
    """Refuse to run anything below this rung; default: `landlock`, or the rung that `isolation` names."""
    preload: tuple[str, ...] = ()
    """Modules imported once before programs start, so that each program finds them ready."""
    service: str | None = None
    """Address of an `iterpref serve` that runs the programs instead of this machine; token: `ITERPREF_TOKEN`."""

    @model_validator(mode="after")
    def _of_this_machine(self) -> Self:
        if self.service is not None and (self.isolation != "auto" or self.preload):
            raise ValueError("isolation and preload are the service's own: give them to iterpref serve")
        return self

    @field_validator("isolation", "min_isolation")
    @classmethod
    def _rung(cls, name: str | None, info: ValidationInfo) -> str | None:
        expected = ["auto", *RUNGS] if info.field_name == "isolation" else list(RUNGS)
        if name is not None and name not in expected:
            raise ValueError(f"expected one of {', '.join(expected)}")
        return name
