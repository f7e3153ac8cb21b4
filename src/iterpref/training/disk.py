"""Room on the disk: what a training will need, told before it begins, and files that appear whole or not at all.

A disk that fills up on the way costs no trained weight: a checkpoint that found no room is left out (trainer.py), and a
finished model that finds none goes to another disk.
"""

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iterpref.errors import IterPrefError, TrainingError
from iterpref.run_folder import TRAINING_RUN
from iterpref.training.resuming import checkpoints
from iterpref.training.settings import AdapterConfig
from iterpref.training.sharding import whole_bytes

_STAGING = ".unfinished"
# What the writers of torch and safetensors say instead of an OSError.
_FULL = (
    "no space left on device",
    "disk quota exceeded",
    "pytorchstreamwriter failed writing",
    "file write failed",
    "unexpected pos",
)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one behind it, came of a disk without room."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error).lower() for words in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def told_if_full(folder: Path) -> Iterator[None]:
    """Turns an error that came of a full disk within the context into one line."""
    try:
        yield
    except IterPrefError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        free = size(shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free)
        reason = " ".join(str(error).split())
        raise TrainingError(
            f"{folder}: no room left on the disk, {free} are free ({reason}); make room and run the same command "
            "again: it goes on from the last checkpoint"
        ) from error


def check_room(folder: Path, model: Any, args: Any, state: Any, adapter: AdapterConfig) -> None:
    """Refuse a training whose checkpoints and model won't fit on the disk of `folder`.

    An estimate: the sizes of weights and of Adam's two moments, without what is small beside them.

    Raises:
        TrainingError: Says what is needed and what is free.
    """
    tensors = list(model.parameters())
    whole = sum(whole_bytes(t) for t in tensors)
    trained = sum(whole_bytes(t) for t in tensors if t.requires_grad)
    saved = trained if adapter.use_peft else whole
    final = saved + (whole if adapter.use_peft and adapter.merge_adapter else 0)
    checkpoint = saved + (0 if args.save_only_model else _to_go_on(args, saved, trained))
    count = _checkpoints_to_come(args, state, len(checkpoints(folder)))
    needed, free = count * checkpoint + final, shutil.disk_usage(folder).free
    if needed > free:
        raise TrainingError(
            f"{folder}: training needs about {size(needed)} on this disk, for {count} checkpoints of "
            f"{size(checkpoint)} and a model of {size(final)}, and {size(free)} are free. Make room, or keep less: "
            "training.save_total_limit=1 keeps one checkpoint, training.save_only_model=true leaves the optimizer out "
            "of it (it can't be gone on from)"
        )


def _to_go_on(args: Any, saved: int, trained: int) -> int:
    """What a checkpoint has beside its model: engines that cut the model up write it a second time, in their form."""
    kind = str(args.distributed_state.distributed_type)
    again = saved if kind.endswith(("FSDP", "DEEPSPEED")) else 0
    if kind.endswith("DEEPSPEED") and (args.bf16 or args.fp16):  # it has weights of 16 bits, and a copy in float32
        return again + 2 * trained + optimizer_bytes(args.optim, 2 * trained)
    return again + optimizer_bytes(args.optim, trained)


def optimizer_bytes(optimizer: str, trained: int) -> int:
    """What the optimizer keeps for so many bytes of trained tensors."""
    if "adam" not in optimizer:
        return 0  # other optimizers keep less, by rules of their own
    return trained // 2 if "8bit" in optimizer else 2 * trained


def _checkpoints_to_come(args: Any, state: Any, there: int) -> int:
    """How many more will lie on the disk at once: a new one is written before the oldest is deleted."""
    if args.save_strategy == "no":
        return 0
    if args.save_strategy == "epoch":
        count = math.ceil(state.num_train_epochs - (state.epoch or 0))
    else:
        count = math.ceil((state.max_steps - state.global_step) / max(state.save_steps, 1))
    return min(count, max(args.save_total_limit + 1 - there, 0)) if args.save_total_limit else count


def size(count: float) -> str:
    """1,234,567 bytes → `1.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@contextmanager
def staged(folder: Path, first: bool) -> Iterator[Path]:
    """A folder inside `folder` to write into; when the context ends without an error, its files move up.

    Weights move behind everything that describes them, and what says that the training is finished comes last. On a
    launcher's processes the `first` one alone makes, moves and deletes.
    """
    staging = folder / _STAGING
    if first:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    try:
        yield staging
        if first:
            for path in sorted(staging.iterdir(), key=_last_of_all):
                _move(path, folder / path.name)
    finally:
        if first:
            shutil.rmtree(staging, ignore_errors=True)


def _last_of_all(path: Path) -> tuple[int, str]:
    order = 2 if path.name == TRAINING_RUN else int(path.name.startswith(("model", "pytorch_model")))
    return order, path.name


def _move(path: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(path, target)


def write_elsewhere(folder: Path, write: Callable[[Path], None]) -> Path | None:
    """Write on another disk what found no room on that of `folder`: into a folder of the temporary or home directory.

    Returns where it is, or None where no other disk has room either.
    """
    for parent in (Path(tempfile.gettempdir()), Path.home(), Path.cwd()):
        if not os.access(parent, os.W_OK) or parent.stat().st_dev == folder.stat().st_dev:
            continue
        place = Path(tempfile.mkdtemp(prefix="iterpref-model-", dir=parent))
        try:
            write(place)
            return place
        except Exception as error:
            shutil.rmtree(place, ignore_errors=True)
            if not is_full(error):
                raise
    return None
