"""What every request passes before a page is made: who asks, from where; and what every answer carries.

A page of another site must neither read a run nor mark a pair through its reader's browser: without a token only this
machine by its own name is served, and what a browser says comes from elsewhere is refused.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from iterpref.listening import is_own_name, named_host, same_token
from iterpref.records import fingerprint

from .settings import ViewSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Refuse = Callable[[int, str], bytes]
"""A status and a text → the page that says so."""

# No script but our file, none within a page; nothing from elsewhere; in nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class ViewGuard:
    """ASGI middleware around `app`."""

    def __init__(self, app: Any, settings: ViewSettings, refuse: Refuse) -> None:
        self._app, self._settings, self._refuse = app, settings, refuse
        # By run, so that two viewers on one host don't take each other's.
        self._cookie = f"iterpref_{fingerprint(str(settings.run.resolve()))[:8]}"

    def end_streams_when(self, stopping: Callable[[], bool]) -> None:
        """What tells streams that the server ends."""
        self._app.state.stopping = stopping

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def carrying(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if refused := self._refused(scope, headers):
            await _answer(carrying, refused[0], self._refuse(*refused))
        elif (given := self._token_of(scope)) is not None:
            await _answer(carrying, 303, b"", self._signed_in(scope, given))
        else:
            await self._app(scope, receive, carrying)

    def _refused(self, scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
        settings = self._settings
        host = named_host(headers)
        if not settings.token and not is_own_name(host, settings.host):
            return 403, f"Host {host[:100]!r}: without a token only this machine by its own name is served."
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and headers.get("sec-fetch-mode") != "navigate":
            return 403, "This was asked for by a page of another site."
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if foreign or (origin is not None and urlsplit(origin).netloc != headers.get("host")):
                return 403, "A mark can be given from this viewer's own pages only."
        if settings.token and not self._is_known(scope, headers):
            return 401, "This viewer needs its token: open its address with ?token=… once."
        return None

    def _is_known(self, scope: Message, headers: dict[str, str]) -> bool:
        token = self._settings.token or ""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return any(same_token(given, token) for given in (self._token_of(scope), bearer) if given) or same_token(
            self._cookie_of(headers), fingerprint(token)
        )

    def _cookie_of(self, headers: dict[str, str]) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    def _token_of(self, scope: Message) -> str | None:
        """The token in an address, where this viewer has one."""
        return dict(_query(scope)).get("token") if self._settings.token else None

    def _signed_in(self, scope: Message, token: str) -> list[tuple[bytes, bytes]]:
        """The same address without the token, which stays in a cookie, as its fingerprint."""
        rest = urlencode([(name, value) for name, value in _query(scope) if name != "token"])
        target = quote(scope["path"]) + (f"?{rest}" if rest else "")
        cookie = f"{self._cookie}={fingerprint(token)}; HttpOnly; SameSite=Strict; Path=/"
        # Two slashes would name another host.
        return [(b"location", f"/{target.lstrip('/')}".encode()), (b"set-cookie", cookie.encode())]


def _query(scope: Message) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


async def _answer(send: Send, status: int, body: bytes, more: list[tuple[bytes, bytes]] | None = None) -> None:
    kind = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *(more or [])]})
    await send({"type": "http.response.body", "body": body})
