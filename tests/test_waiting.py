"""A step that asks many things at once also works where an event loop is running: in a notebook."""

import asyncio
import signal
import threading
import time

import pytest

from iterpref.waiting import wait_for


async def doubled(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_without_a_loop() -> None:
    assert wait_for(doubled(2)) == 4


def test_inside_a_running_loop() -> None:
    async def cell() -> int:
        return wait_for(doubled(3))

    assert asyncio.run(cell()) == 6


def test_its_error_is_the_callers() -> None:
    async def fails() -> None:
        raise ValueError("no")

    async def cell() -> None:
        wait_for(fails())

    with pytest.raises(ValueError, match="no"):
        asyncio.run(cell())


def test_stopping_the_cell_stops_the_work() -> None:
    """The notebook's stop button raises KeyboardInterrupt in the thread that waits."""
    ended: list[str] = []

    async def long() -> None:
        stop = (threading.main_thread().ident, signal.SIGINT)
        threading.Timer(0.3, signal.pthread_kill, stop).start()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    def cell() -> None:
        async def running() -> None:
            wait_for(long())

        loop = asyncio.new_event_loop()  # as a kernel's: it leaves SIGINT to Python
        try:
            loop.run_until_complete(running())
        finally:
            loop.close()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what started the tests may have it ignored
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            cell()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["cancelled"]
    assert time.monotonic() - began < 30
