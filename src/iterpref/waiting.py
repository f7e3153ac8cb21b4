"""Coroutine → its result, also where an event loop is running already, as it is in each cell of a notebook."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end; where this thread has a running loop, which can't be entered again, in another thread.

    Whatever interrupts the wait (Ctrl-C, a notebook's stop button) cancels the work, and is raised when that has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def told() -> T:
        begun.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    with ThreadPoolExecutor(1, thread_name_prefix="waiting") as thread:
        ended = thread.submit(asyncio.run, told())
        try:
            return ended.result()
        except BaseException:
            loop, task = begun.result()
            if task is not None:
                with suppress(RuntimeError):  # the loop is closed already
                    loop.call_soon_threadsafe(task.cancel)
            raise
