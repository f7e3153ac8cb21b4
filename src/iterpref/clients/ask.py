"""Many requests → their answers, as they come: the one loop of all that ask a model about many things."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable
from contextlib import aclosing
from itertools import islice
from typing import TypeVar

from iterpref.clients.base import Completion, Request
from iterpref.clients.ledger import Ledger
from iterpref.errors import BudgetError, ClientError, EndpointError

Item = TypeVar("Item")
Result = TypeVar("Result")


async def ask_all(
    ledger: Ledger, requests: Iterable[tuple[Item, Request]]
) -> AsyncIterator[tuple[Item, Completion | ClientError]]:
    """Ask about every item, `ledger.at_a_time` at a time; yields answers, and errors of calls, in the order they come.

    Raises:
        BudgetError: The budget is used up; all that was paid for was given back first.
        EndpointError: No request can be answered.
    """

    async def one(item: Item, request: Request) -> tuple[Item, Completion | ClientError]:
        try:
            return item, (await ledger.complete(request))[1]
        except EndpointError:
            raise
        except ClientError as error:
            return item, error

    async with aclosing(as_finished((one(*asked) for asked in requests), ledger.at_a_time)) as answers:
        async for answered in answers:
            yield answered


async def as_finished(work: Iterable[Awaitable[Result]], limit: int | None) -> AsyncGenerator[Result]:
    """Results of `work` as they come; at most `limit` at a time, started in order. The first error ends it.

    `work` is drawn when there is room, so that it may be a generator of any length; a `limit` of None starts all.

    Raises:
        BudgetError: Raised by some of the work. No more was started, and what was under way was awaited first.
    """
    source = iter(work)
    running: set[asyncio.Future[Result]] = set()
    finished: asyncio.Queue[asyncio.Future[Result]] = asyncio.Queue()
    stop: BudgetError | None = None
    try:
        while True:
            room = None if limit is None else limit - len(running)
            for started in islice(source, 0 if stop else room):
                running.add(task := asyncio.ensure_future(started))
                task.add_done_callback(finished.put_nowait)
            if not running:
                break
            running.remove(done := await finished.get())
            try:
                result = done.result()
            except BudgetError as error:
                stop = error
            else:
                yield result
    finally:
        for unfinished in running:
            unfinished.cancel()
        await asyncio.gather(*running, return_exceptions=True)  # also reads errors, which Python prints otherwise
    if stop:
        raise stop
