"""The Batch API of OpenAI-compatible servers: about half the price, answers within hours.

Requests that wait together become one batch (a wave: all tasks of one iteration; a very large one several batches).
What failed in it goes into the next batch, alone; what was refused is given up at once.

No batch is paid for twice. Before one is created, an intent with a unique key is noted in the run folder, and the key
goes with the batch as metadata; once the server has named the batch, a note of that name replaces the intent. A killed
command finds its batches again by their notes, and one that was killed in between by looking the key up on the server.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

import httpx2
import openai

from iterpref.clients.base import Completion, Request
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.client import OpenAIClient
from iterpref.clients.openai.failures import FailedRequest, Meaning, backoff, by_status, classify
from iterpref.clients.openai.reply import BadReply, read_reply
from iterpref.errors import ClientError, EndpointError, RefusedError
from iterpref.records import fingerprint

INTENT = ".intent"  # ends the name of a note whose batch has no name yet
METADATA = "iterpref_intent"
PATH: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MOST_REQUESTS = 20_000  # of a batch; OpenAI takes 50,000 in a file of 200 MB, so that these may have 10 kB each
QUIET_S = 1.0  # without a new request, a wave is complete
_OVER = {"completed", "failed", "expired", "cancelled"}


class BatchClient(OpenAIClient):
    """Like `OpenAIClient`, through batches, which are noted in `folder` while they last."""

    def __init__(self, settings: OpenAIConfig, folder: Path) -> None:
        super().__init__(settings)
        self._folder = folder
        self._waiting: dict[str, tuple[Request, asyncio.Future[Completion]]] = {}
        self._tries: dict[str, int] = {}
        self._pump: asyncio.Task[None] | None = None

    async def complete(self, request: Request) -> Completion:
        if request.raw:
            raise ClientError(f"{self.name}: its batches are of chats and take no raw prompt; set client.batch=false")
        # Named by what the settings alone leave out, so that the next process gives the same name.
        body = self._body(request, set(self._settings.omit)) | self._extra(request)
        name = fingerprint([body, request.sample_index])
        if name not in self._waiting:
            self._waiting[name] = (request, asyncio.get_running_loop().create_future())
        future = self._waiting[name][1]
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run_waves())
        return await asyncio.shield(future)

    async def _run_waves(self) -> None:
        try:
            while self._waiting:
                known = 0
                while known != len(self._waiting):  # until nobody joins this wave any more
                    known = len(self._waiting)
                    await asyncio.sleep(QUIET_S)
                await self._settle_intents()
                names = list(self._waiting)
                parts = [names[start : start + MOST_REQUESTS] for start in range(0, len(names), MOST_REQUESTS)]
                batches = self._noted() or [await self._submit(part) for part in parts]
                await asyncio.gather(*(self._collect(batch) for batch in batches))
        except (openai.OpenAIError, ClientError) as error:
            self._fail(error if isinstance(error, ClientError) else EndpointError(self._clean(str(error))))
        except Exception as error:  # of ours: whoever waits must not wait for ever
            self._fail(error)

    def _fail(self, failure: Exception) -> None:
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(failure)
        self._waiting.clear()

    def _noted(self, kind: str = ".json") -> list[str]:
        """Batches (or intents) of a killed command with answers somebody waits for; a later wave may want others."""
        notes = sorted(self._folder.glob(f"*{kind}"))
        return [note.stem for note in notes if set(json.loads(note.read_text())) & self._waiting.keys()]

    async def _settle_intents(self) -> None:
        """Give the intents of a killed command the batch that came of them; drop those that never reached the server.

        Raises:
            EndpointError: The server doesn't list its batches, so that nobody can tell whether one was created.
        """
        for intent in self._noted(INTENT):
            note = self._folder / (intent + INTENT)
            try:
                batch = await self._patiently(self._find, intent)
            except EndpointError as error:
                raise EndpointError(
                    f"{error}. A command was killed while it created a batch, and without the server's list nobody can "
                    f"tell whether it exists: look for it there, and delete {note} if not"
                ) from None
            if batch is None:
                note.unlink()
            else:
                note.replace(self._folder / f"{batch.id}.json")

    async def _find(self, intent: str) -> Any:
        """The server's batch with this key; None if there is none."""
        async for batch in self._endpoints[0].sdk().batches.list(limit=100):
            if (batch.metadata or {}).get(METADATA) == intent:
                return batch
        return None

    async def _submit(self, names: list[str]) -> str:
        waiting = ((n, self._waiting[n][0]) for n in names)
        bodies = ((n, self._body(request) | self._extra(request)) for n, request in waiting)
        requests = ({"custom_id": n, "method": "POST", "url": PATH, "body": body} for n, body in bodies)
        sdk = self._endpoints[0].sdk()
        with TemporaryFile() as content:  # on the disk: it may be 200 MB
            content.writelines(json.dumps(request).encode() + b"\n" for request in requests)
            content.flush()  # its size is read from the disk
            file = await self._patiently(sdk.files.create, file=("batch.jsonl", content), purpose="batch")
        intent = uuid.uuid4().hex
        note = self._folder / (intent + INTENT)
        self._folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(names))
        batch = await self._create(file.id, intent)
        note.replace(self._folder / f"{batch.id}.json")
        return str(batch.id)

    async def _create(self, file_id: str, intent: str) -> Any:
        """Create a batch once, also where the answer to the first attempt got lost."""
        tried = False

        async def attempt() -> Any:
            nonlocal tried
            if tried and (found := await self._find(intent)) is not None:
                return found
            tried = True
            return await self._endpoints[0].sdk().batches.create(
                input_file_id=file_id, endpoint=PATH, completion_window="24h", metadata={METADATA: intent}
            )  # fmt: skip

        return await self._patiently(attempt)

    async def _collect(self, batch_id: str) -> None:
        """Wait for a batch and hand out its answers; what has none stays waiting for the next wave."""
        sdk = self._endpoints[0].sdk()
        note = self._folder / f"{batch_id}.json"
        while (batch := await self._patiently(sdk.batches.retrieve, batch_id)).status not in _OVER:
            await asyncio.sleep(self._settings.batch_poll_s)
        names = json.loads(note.read_text())
        failed = dict.fromkeys(names, FailedRequest(Meaning.TRANSIENT, f"batch {batch_id} ended as {batch.status}"))
        for wrong in (batch.errors and batch.errors.data) or ():
            if wrong.line is not None and 1 <= wrong.line <= len(names):  # one line, for which all were sent back
                failed[names[wrong.line - 1]] = FailedRequest(Meaning.REFUSED, f"{wrong.code}: {wrong.message}")
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            failed |= await self._patiently(self._hand_out, file_id)
        self._leave_out_refused(failed)
        for name in names:
            self._count_failure(name, failed[name])
        note.unlink()

    async def _hand_out(self, file_id: str) -> dict[str, FailedRequest]:
        """Answer who waits, line by line as they come; returns what was wrong with the others, by name."""
        wrong = {}
        async for line in _lines(self._endpoints[0].sdk().files.with_streaming_response.content(file_id)):
            row = json.loads(line)
            try:
                completion = _answer(row)
            except BadReply as error:
                wrong[row["custom_id"]] = _failure(row, error)
                continue
            waiting = self._waiting.pop(row["custom_id"], None)
            if waiting and not waiting[1].done():
                waiting[1].set_result(completion)
        return wrong

    def _leave_out_refused(self, failed: Mapping[str, FailedRequest]) -> None:
        """Parameters that a batch refused; once for all of its requests, and the next goes without them."""
        refused = {failure.parameter: name for name, failure in failed.items() if failure.meaning is Meaning.PARAMETER}
        for name in refused.values():
            if name in self._waiting:
                self._leave_out(failed[name], self._body(self._waiting[name][0]))

    def _count_failure(self, name: str, failure: FailedRequest) -> None:
        """Leave a request without an answer waiting, or give it up."""
        if name not in self._waiting:
            return
        self._tries[name] = self._tries.get(name, 0) + 1
        said = f"{self.name}: {self._clean(failure.message)}"
        if failure.meaning is Meaning.REFUSED:
            self._waiting.pop(name)[1].set_exception(RefusedError(said))
        elif failure.meaning in (Meaning.ENDPOINT, Meaning.PREFILL):
            self._waiting.pop(name)[1].set_exception(EndpointError(said))
        elif self._tries[name] >= self._settings.max_attempts:
            self._waiting.pop(name)[1].set_exception(ClientError(f"{said} (in {self._tries[name]} batches)"))

    async def _patiently(self, call: Callable[..., Awaitable[Any]], *values: Any, **named: Any) -> Any:
        """One request about files or batches, retried like any other."""
        for attempt in range(1, self._settings.max_attempts + 1):
            try:
                return await call(*values, **named)
            except (openai.OpenAIError, TimeoutError) as error:
                failure = classify(error)
                fatal = failure.meaning not in (Meaning.TRANSIENT, Meaning.THROTTLED)
                if fatal or attempt == self._settings.max_attempts:
                    raise EndpointError(f"{self._endpoints[0].url}: batch: {self._clean(failure.message)}") from None
                await asyncio.sleep(failure.wait_s if failure.wait_s is not None else backoff(attempt))
        raise AssertionError("unreachable")


async def _lines(download: AbstractAsyncContextManager[Any]) -> AsyncIterator[bytes]:
    """Lines of a file while it is read, but empty ones. They end at newlines alone: texts hold other separators."""
    rest = b""
    try:
        async with download as response:
            async for part in response.iter_bytes():
                *lines, rest = (rest + part).split(b"\n")
                for line in filter(bytes.strip, lines):
                    yield line
    except httpx2.HTTPError as error:  # while the file is read, the SDK doesn't say so in its own words
        raise openai.APIConnectionError(message=f"{type(error).__name__}: {error}", request=error.request) from error
    if rest.strip():
        yield rest


def _answer(row: dict[str, Any]) -> Completion:
    """The completion in a line of a batch's results; BadReply if there is none."""
    response = row.get("response") or {}
    if response.get("status_code") != 200:
        raise BadReply(json.dumps(row.get("error") or response.get("body") or "no response"))
    return read_reply(json.dumps(response["body"]))


def _failure(row: dict[str, Any], error: BadReply) -> FailedRequest:
    """What is wrong with a line of a batch's results."""
    response = row.get("response") or {}
    status, body = response.get("status_code") or 200, response.get("body") or {}
    if status == 200:
        return classify(error)
    said = body.get("error") if isinstance(body, dict) else None
    said = said if isinstance(said, dict) else {}
    return by_status(status, said.get("message") or str(error), about=said.get("param"))
