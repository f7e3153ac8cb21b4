"""The trajectories of a run → JSONL that `iterpref import` reads back, to move them or have them checked elsewhere.

One `{"task": Task, "trajectory": Trajectory}` a line, in the schema of `records.py`. Not here: pairs.
"""

import json
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.files import whole
from iterpref.records import ExportedTrajectory
from iterpref.store import Store


def export_trajectories(store: Store, path: str | Path) -> int:
    """Write every closed trajectory with its task; returns how many. The file appears whole or not at all.

    Raises:
        RecordError: The file can't be written.
    """
    written = 0
    try:
        with whole(Path(path)) as partial, partial.open("w", encoding="ascii") as file:
            for trajectory in store.trajectories():
                row = ExportedTrajectory(task=store.task(trajectory.task_id), trajectory=trajectory)
                # Not model_dump_json: a program may hold a lone surrogate, which only escaped JSON can carry.
                file.write(json.dumps(row.model_dump(mode="json")) + "\n")
                written += 1
    except OSError as error:
        raise RecordError(f"{path}: can't write this file ({error.strerror}); choose another path") from None
    return written
