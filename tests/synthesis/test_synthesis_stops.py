"""A synthesis that must stop keeps a task of each draft that was paid for; so does a revision."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_revise import CASE, FIXED, YES, put, task, trajectory
from test_synthesize import reply

from iterpref.clients import Completion, Ledger, Request
from iterpref.config import SynthesisConfig
from iterpref.errors import BudgetError, EndpointError, IterPrefError
from iterpref.executor import Executor
from iterpref.sandbox import Sandbox
from iterpref.store import Store
from iterpref.synthesis.revise import revise_tests
from iterpref.synthesis.synthesize import Synthesizer

DRAFTS, PAID = 12, 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


class Stopping:
    """Answers some drafts, and then has no more to give."""

    name = "stopping"

    def __init__(self, stop: IterPrefError, refused: set[int]) -> None:
        self._stop, self._refused = stop, refused

    async def complete(self, request: Request) -> Completion:
        if request.sample_index in self._refused:
            raise self._stop
        return Completion(text=reply(f"Write double(x), number {request.sample_index}."))

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("stop", "refused"),
    [
        pytest.param(BudgetError("budget reached"), set(range(PAID, DRAFTS)), id="budget"),
        pytest.param(BudgetError("budget reached"), {0, 3, 4, 5}, id="budget, the first draft is not paid for"),
        pytest.param(EndpointError("down"), set(range(PAID, DRAFTS)), id="endpoint"),
        pytest.param(EndpointError("down"), {0, 3, 4, 5}, id="endpoint, the first draft is not answered"),
    ],
)
def test_defect_16_what_is_paid_for_becomes_a_task(store: Store, stop: IterPrefError, refused: set[int]) -> None:
    with Sandbox(workers=1) as sandbox:
        config = SynthesisConfig(tasks=DRAFTS)
        ledger = Ledger(Stopping(stop, refused), store)
        with pytest.raises(type(stop)):
            asyncio.run(Synthesizer(ledger, Executor(sandbox, store), store, config).run())
        assert store.count("calls") >= (PAID if isinstance(stop, BudgetError) else 1)
        assert store.count("tasks") == store.count("calls")
        assert {"number 0." in str(task.prompt) for task in store.tasks()} >= {False}
        asyncio.run(Synthesizer(Ledger(Stopping(stop, set()), store), Executor(sandbox, store), store, config).run())
        assert store.count("tasks") == DRAFTS


def test_defect_16_revisions_are_stored_as_they_come(store: Store) -> None:
    names = ["a", "b"]
    store.put_tasks(map(task, names))
    for name in names:
        put(store, trajectory(name, ["x", "y", "z"], CASE))

    class Half(Stopping):
        async def complete(self, request: Request) -> Completion:
            if "b: double" in request.messages[0].content:
                await asyncio.sleep(0.05)
                raise EndpointError("down")
            return Completion(text=f'{YES}\n<file path="t.py">\n{FIXED}</file>')

    with pytest.raises(EndpointError):
        asyncio.run(revise_tests(store, Ledger(Half(EndpointError("down"), set()), store)))
    assert (store.count("calls"), store.count("tasks")) == (1, 3)
