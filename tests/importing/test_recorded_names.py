"""What recorded programs find defined, as docs/import.md promises it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.importing import import_recorded, recorded_rows
from iterpref.sandbox import Sandbox
from iterpref.store import Store

WriteRows = Callable[..., Path]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


def recorded(expression: str, value: str, **verified: Any) -> dict[str, Any]:
    """A run of one version, which returns an expression of `a`, called with 5."""
    given = {"passed": True, "status": "pass"} | verified
    return {
        "id": "run-1", "task_id": "Own/1", "entry_point": "f", "prompt": "Do it.", "test": f"assert f(5) == {value}",
        "versions": [{"step": 0, "code": f"def f(a):\n    return {expression}\n", "verified": given}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param("factorial(a)", "120", id="math with *"),
        pytest.param("[floor(sqrt(a)), gcd(a, 10), comb(a, 2)]", "[2, 5, 10]", id="more of math"),
        pytest.param("findall('[a-z]', sub('b', 'x', 'abc'))", "['a', 'x', 'c']", id="re with *"),
        pytest.param("math.factorial(a) + len(re.findall('a', 'aa'))", "122", id="by name"),
        pytest.param("[pow(a, 3, 7), eval(compile('a', '', 'eval'), {'a': a})]", "[6, 5]", id="built-in names stay"),
        pytest.param("[Counter('a'), len(list(combinations('abc', 2))), nlargest(1, [a])]",
                     "[{'a': 1}, 3, [5]]", id="the others"),
    ],
)  # fmt: skip
def test_defect_34_names_of_all_promised_modules_are_there(
    store: Store, sandbox: Sandbox, write_rows: WriteRows, expression: str, value: str
) -> None:
    summary = import_recorded(write_rows(recorded(expression, value)), store, sandbox)
    assert (summary.agree, summary.disagreements) == (1, ())


def test_defect_34_the_error_type_is_the_recorded_one(store: Store, sandbox: Sandbox, write_rows: WriteRows) -> None:
    row = recorded("factorial(a - 6)", "1", passed=False, status="fail", error_type="ValueError")
    import_recorded(write_rows(row), store, sandbox)
    [trajectory] = store.trajectories()
    assert trajectory.attempts[0].execution.error_type == "ValueError"


def test_runs_that_an_earlier_version_imported_stay_as_they_are(
    store: Store, sandbox: Sandbox, write_rows: WriteRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing again, behind other imports than then, executes nothing and changes no task."""
    path = write_rows(recorded("a + 1", "6"))
    monkeypatch.setattr(recorded_rows, "PREAMBLE", "import math\n")
    import_recorded(path, store, sandbox)
    tasks, executions = list(store.tasks()), store.count("executions")
    monkeypatch.undo()
    assert import_recorded(path, store, sandbox).agree == 1
    assert list(store.tasks()) == tasks and store.count("executions") == executions
