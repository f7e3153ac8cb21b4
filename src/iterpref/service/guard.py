"""What every request passes before a route sees it: who asks, from where, how much, and how fast.

Without a token anybody on this machine may ask, and so could a web page in its user's browser. Therefore bodies must
say that they are JSON, which a browser lets no foreign page send unasked, and the host asked for must be this machine.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from iterpref.listening import is_own_name, named_host, same_token

from .metrics import ServiceMetrics
from .settings import ServiceSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_OPEN = ("/health", "/v1/ping")  # without a token: they tell how the service is set up, and of no job


class Refused(Exception):
    """This request is answered with a status and a text, whatever the route."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Guard:
    """ASGI middleware around `app`."""

    def __init__(self, app: Any, settings: ServiceSettings, metrics: ServiceMetrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")  # not the path: anybody may ask for any
                self._metrics.requests.labels(route, str(message["status"])).inc()
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, self._bounded(scope, receive), noted)
        except Refused as error:
            if begun:
                raise
            await _answer(noted, error)

    def _check(self, scope: Message) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path, settings = scope["path"], self._settings
        if settings.token and path not in _OPEN:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not same_token(given, settings.token):
                raise Refused(401, "Authorization: a bearer token is needed, and this one isn't right")
        host = named_host(headers)
        if not settings.token and not is_own_name(host, settings.host):
            raise Refused(403, f"Host {host[:100]!r}: without a token only this machine by its own name is served")
        if scope["method"] == "POST":
            kind = headers.get("content-type", "").split(";")[0].strip()
            if kind != "application/json":
                raise Refused(415, f"Content-Type {kind[:100]!r}: application/json expected")
            declared = headers.get("content-length", "0")
            if declared.isdigit() and int(declared) > settings.body_bytes:
                raise Refused(413, f"a body of {declared} bytes; at most {settings.body_bytes}")

    def _bounded(self, scope: Message, receive: Receive) -> Receive:
        """`receive` that gives up on bodies that are too large or too slow."""
        deadline = asyncio.get_running_loop().time() + self._settings.body_s
        size, whole = 0, False

        async def bounded() -> Message:
            nonlocal size, whole
            if whole:
                return await receive()  # the client leaving
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, f"the body did not arrive in {self._settings.body_s:g} s") from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > self._settings.body_bytes:
                raise Refused(413, f"a body of more than {self._settings.body_bytes} bytes")
            return message

        return bounded


async def _answer(send: Send, error: Refused) -> None:
    body = json.dumps({"error": str(error)}).encode()
    kind = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers = [*kind, (b"connection", b"close")]  # what is left of the body isn't read
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
