from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iterpref.errors import RecordError
from iterpref.importing import import_tasks
from iterpref.store import Store

WriteRows = Callable[..., Path]

TASK: dict[str, Any] = {
    "task_id": "own/1",
    "prompt": "Double it.",
    "style": "assert",
    "entry_point": "double",
    "tests": [{"path": "test.py", "content": "assert double(2) == 4"}],
}


def test_tasks(store: Store, write_rows: WriteRows) -> None:
    path = write_rows(TASK, TASK | {"task_id": "own/2", "split": "held_out"})
    assert import_tasks(path, store).tasks == 2
    assert [(task.task_id, task.split) for task in store.tasks()] == [("own/1", "train"), ("own/2", "held_out")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(TASK | {"task_id": "own/2", "tests": []}, "rows.jsonl:2: task own/2: no tests; a task needs",
                     id="no tests"),
        pytest.param(TASK | {"task_id": "own/2", "style": "magic"}, "rows.jsonl:2: style is 'magic'; expected assert",
                     id="unknown style"),
        pytest.param(TASK | {"task_id": "own/2", "promt": ""}, "rows.jsonl:2: promt: no such field; .*mean prompt",
                     id="unknown field"),
        pytest.param(TASK | {"tests": [{"path": "test.py", "content": "assert double(1) == 1"}]},
                     "task own/1: its tests differ from those stored", id="changed tests"),
    ],
)  # fmt: skip
def test_a_bad_task_is_named_and_the_others_kept(
    store: Store, write_rows: WriteRows, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        import_tasks(write_rows(TASK, row, TASK | {"task_id": "own/3"}), store)
    assert "The other rows are imported (2 tasks)" in str(caught.value)
    assert [task.task_id for task in store.tasks()] == ["own/1", "own/3"]
