"""Server-sent events: the overview again, whenever the run has changed."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from iterpref.errors import IterPrefError

from .rendering import Page
from .runs import live_part
from .settings import ViewSettings

_EVERY_S = 1.0
_SHARE = 10  # of the time, looking at a large run may take at most one part of so many
_SIGN_S = 15.0  # a comment, so that a connection that nobody reads is noticed


def add_events(app: FastAPI, settings: ViewSettings, page: Page) -> None:
    """`/events`; ends when the reader leaves, or `app.state.stopping` says so."""
    app.state.stopping = lambda: False

    @app.get("/events")
    async def events(request: Request) -> StreamingResponse:
        stream = _changes(settings, page, lambda: bool(app.state.stopping()))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _changes(settings: ViewSettings, page: Page, stopping: Callable[[], bool]) -> AsyncIterator[bytes]:
    before, said_at = b"", time.monotonic()
    while not stopping():
        began = time.monotonic()
        found = await asyncio.to_thread(_part, settings, page)
        took = time.monotonic() - began
        if found != before:
            yield b"".join(b"data: " + line + b"\n" for line in found.split(b"\n")) + b"\n"
            before, said_at = found, time.monotonic()
        elif time.monotonic() - said_at > _SIGN_S:
            yield b": still here\n\n"
            said_at = time.monotonic()
        wake = time.monotonic() + max(_EVERY_S, took * _SHARE)
        while time.monotonic() < wake and not stopping():
            await asyncio.sleep(0.2)


def _part(settings: ViewSettings, page: Page) -> bytes:
    try:
        return live_part(settings, page)
    except IterPrefError as error:
        return page.text("gone", said=str(error))
    except sqlite3.DatabaseError as error:
        return page.text("gone", said=f"{settings.run}: can't be read ({error})")
