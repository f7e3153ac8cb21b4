"""`viewer_app`: a run folder → an ASGI application of pages behind one guard. Read first; then lists.py, items.py."""

import sqlite3
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles

from iterpref.errors import IterPrefError
from iterpref.run_folder import DATABASE
from iterpref.store import cannot_read

from .events import add_events
from .guard import ViewGuard
from .items import add_items
from .lists import add_lists
from .marks import add_marks
from .overlay import Overlay
from .rendering import Page
from .runs import add_runs
from .settings import ViewSettings
from .sides import add_sides

_STATIC = str(files("iterpref.viewer.live") / "static")


def viewer_app(settings: ViewSettings) -> ViewGuard:
    """The application. Its pages read the run as it lies there when they are asked for."""
    # The documentation pages of the framework load from elsewhere.
    app = FastAPI(title="IterPref viewer", docs_url=None, redoc_url=None, openapi_url=None)
    page = Page(settings)
    add_runs(app, settings, page)
    add_events(app, settings, page)
    add_lists(app, settings, page)
    add_items(app, settings, page, Overlay(settings))
    add_marks(app, settings)
    add_sides(app, settings, page)
    app.mount("/static", StaticFiles(directory=_STATIC, packages=[("iterpref.viewer", "static")]))
    _answer_errors(app, settings, page)
    return ViewGuard(app, settings, page.refusal)


def _answer_errors(app: FastAPI, settings: ViewSettings, page: Page) -> None:
    """Whatever goes wrong is a page that says what, and what to do."""

    def refused(status: int, text: str) -> Response:
        return Response(page.refusal(status, text), status, media_type="text/html; charset=utf-8")

    async def of_ours(_: Request, error: Any) -> Response:
        return refused(503, str(error))

    async def of_database(_: Request, error: Any) -> Response:
        return refused(503, str(cannot_read(settings.run / DATABASE, error)))

    async def of_address(_: Request, error: Any) -> Response:
        return refused(
            error.status_code, "There is no such page here." if error.detail == "Not Found" else error.detail
        )

    async def of_query(_: Request, error: Any) -> Response:
        faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()[:3])
        return refused(422, f"This address can't be used: {faults}")

    app.add_exception_handler(IterPrefError, of_ours)
    app.add_exception_handler(sqlite3.DatabaseError, of_database)
    for raised in (HTTPException, 404, 405):  # by number those that the framework itself raises
        app.add_exception_handler(raised, of_address)
    app.add_exception_handler(RequestValidationError, of_query)
