"""Which function mapped tasks ask for is inferred from their tests, and said in their prompts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from iterpref.config import ImportingConfig
from iterpref.importing.tasks import import_own_tasks
from iterpref.store import Store

WriteRows = Callable[..., Path]
ROW: dict[str, Any] = {"question": "Double it.", "asserts": ["assert double(2) == 4"], "number": 7}
MAPPED = ImportingConfig(columns={"prompt": "question", "tests": "asserts", "task_id": "number"})


def test_defect_38_the_entry_point_of_mapped_tasks_is_inferred(store: Store, write_rows: WriteRows) -> None:
    path = write_rows(ROW, ROW | {"number": 8, "asserts": ["assert double(halve(2)) == 2"]})
    summary = import_own_tasks(str(path), store, MAPPED).model_dump()
    assert [task.entry_point for task in store.tasks()] == ["double", None]
    assert (summary["entry_points_inferred"], summary["prompts_completed"]) == (1, 1)


def test_a_task_stored_before_entry_points_were_inferred_is_the_same_task(store: Store, write_rows: WriteRows) -> None:
    path = write_rows(ROW)
    import_own_tasks(str(path), store, MAPPED)
    [task] = store.tasks()
    earlier = task.model_copy(update={"task_id": "9", "entry_point": None, "prompt": "Double it."})
    store.put_tasks([earlier])
    import_own_tasks(str(write_rows(ROW | {"number": 9})), store, MAPPED)
    assert store.task("9") == earlier
