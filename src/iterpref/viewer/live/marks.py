"""The one thing that a viewer writes: a mark on a pair, by a form of its page (`store.reviews`)."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from iterpref.records import ReviewMark, Word
from iterpref.store import add_mark

from .items import Id, missing
from .lists import PairQuery
from .rendering import link
from .settings import ViewSettings

_MOST_BYTES = 64 << 10
_WORDS: dict[str, Word] = {"accept": "accept", "reject": "reject", "": ""}


def add_marks(app: FastAPI, settings: ViewSettings) -> None:
    """`POST /pair`: mark, note and the text that was looked at → kept, and back to the page, or on to `next`."""

    @app.post("/pair")
    async def mark(request: Request, id: Id, query: Annotated[PairQuery, Depends()]) -> Response:
        form = await _form(request)
        await run_in_threadpool(_keep, settings, id, form)
        following = form.get("next", "")
        return RedirectResponse(link("/pair", query.given(), id=following or id), 303)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, f"A note of more than {_MOST_BYTES >> 10} KiB.")
    parsed = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in parsed.items()}


def _keep(settings: ViewSettings, pair_id: str, form: dict[str, str]) -> None:
    word = form.get("mark", "")
    if word not in _WORDS:
        raise HTTPException(422, f"mark: got {word[:50]!r}, expected accept, reject or nothing.")
    with settings.open() as store:
        pair = store.pair(pair_id)
    if pair is None:
        raise missing("Pair", pair_id)
    if form.get("content_hash", pair.content_hash) != pair.content_hash:
        raise HTTPException(
            409, f"Pair {pair_id}: made anew since this page was opened. Open it again and look once more."
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    note = form.get("note", "").replace("\r\n", "\n").strip()
    kept = ReviewMark(pair_id=pair_id, content_hash=pair.content_hash, mark=_WORDS[word], note=note, at=at)
    add_mark(settings.run, kept)
