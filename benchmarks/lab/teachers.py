"""Who repairs in place of the base: `sft`, the base after SFT on other tasks, or another base, such as `steps-1`.

The first attempts are the base's own in any case, so that what it learns from are its own mistakes.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from iterpref.demo import CONFIG
from iterpref.errors import ConfigError
from iterpref.model_identity import folder_identity
from iterpref.pairing import write_dataset
from iterpref.records import fingerprint
from iterpref.training import train

from .domains import DOMAINS
from .pairs import alone

SFT = "sft"
TASKS, SEED = 800, 60  # whose solutions it learns; no other seed is 60
SETTINGS = {**CONFIG["training"], "method": "sft", "seed": SEED}


@dataclass(frozen=True)
class Teacher:
    """`identity` tells it from others of its name; `folder` is None for one that is still to be trained."""

    name: str
    identity: str
    folder: Path | None = None

    @classmethod
    def of(cls, name: str, base: str, bases: Path) -> "Teacher":
        """A teacher by its name. `base`: the identity of the model that is taught.

        Raises:
            ConfigError: No such name, or no such base.
        """
        if name == SFT:
            return cls(name, fingerprint([SFT, base, TASKS, SETTINGS]))
        folder = base_named(name, bases)
        return cls(name, folder_identity(str(folder)), folder)

    def model(self, domain: str, base: Path, work: Path) -> Path:
        """Its folder; trained now where that is still to be done, which several processes may ask for at once."""
        if self.folder is not None:
            return self.folder
        target = work / "teachers" / f"{domain}-{self.identity[:12]}"
        if not target.is_dir():
            staging = target.with_name(f".{target.name}.{os.getpid()}")
            tasks = DOMAINS[domain].tasks("train", TASKS, SEED)
            pairs = (alone(task, task.reference, task.task_id) for task in tasks if task.reference)
            write_dataset(staging / "pairs", pairs)
            train(staging / "pairs", str(base), staging / "model", SETTINGS, on_progress=lambda *_: None)
            with suppress(OSError):  # another process was faster
                os.replace(staging / "model", target)
            shutil.rmtree(staging)
        return target


def base_named(name: str, bases: Path) -> Path:
    """The folder of the base `DOMAIN-N`.

    Raises:
        ConfigError: No domain of that name, or no such base.
    """
    domain, _, number = name.rpartition("-")
    if domain not in DOMAINS or not number.isdigit():
        raise ConfigError(
            f"teacher {name}: expected {SFT}, or a base such as steps-1; domains are {', '.join(DOMAINS)}"
        )
    return DOMAINS[domain].base(int(number), bases)
