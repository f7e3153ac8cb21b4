"""Our own route: Job → Execution, one of them, or a batch whose Executions stream as they finish.

    POST /jobs            a Job as JSON                     → its Execution
    POST /jobs            {"jobs": [Job, ...]}              → a line per job: {"index": 0, "execution": {...}}
    ?repeat=3             run each under further hash seeds
    ?hash_seed=1          of the Python that runs them; each has workers of its own
    ?retry_timeout=false  a timeout counts at once

A line of a batch whose job can't be used is {"index": 1, "error": "..."}; the others are run.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from iterpref.errors import IterPrefError, RecordError
from iterpref.records import Execution
from iterpref.sandbox import Job, Sandbox

from .gate import ClientLeft, Gate
from .guard import Message, Receive, Refused, Send
from .metrics import ServiceMetrics
from .settings import ServiceSettings

_LOG = logging.getLogger(__name__)
_SEEDS = 10  # hash seeds under which one may ask, each with workers of its own
T = TypeVar("T")


class Jobs:
    """The route's handlers; `run` is what other routes use, too."""

    def __init__(self, sandbox: Sandbox, gate: Gate, metrics: ServiceMetrics, settings: ServiceSettings) -> None:
        self._sandbox, self._gate, self._metrics, self._settings = sandbox, gate, metrics, settings
        self.router = APIRouter()
        self.router.add_api_route("/jobs", self.post, methods=["POST"], response_model=None)

    async def post(self, request: Request, repeat: int = 1, retry_timeout: bool = True, hash_seed: int = 0) -> Response:
        body = await read_json(request)
        if not 1 <= repeat <= _SEEDS:
            raise Refused(422, f"repeat: got {repeat}, expected 1 to {_SEEDS}")
        if repeat > 1 and hash_seed:
            raise Refused(422, "repeat: its runs have hash seeds of their own; give no hash_seed")
        asked: dict[str, Any] = {"repeat": repeat, "retry_timeout": retry_timeout, "sandbox": self.under(hash_seed)}
        if "jobs" not in body:
            job = read_job(body, "job")
            with self._gate.enter():
                return as_json((await self.run(request, job, **asked)).model_dump(mode="json"))
        jobs = body["jobs"]
        if not isinstance(jobs, list) or not jobs:
            raise Refused(422, f"jobs: got {type(jobs).__name__}, expected a list of one or more")
        if len(jobs) > self._gate.places:
            raise Refused(413, f"a batch of {len(jobs)} jobs; at most {self._gate.places}, as many as may run and wait")
        place = self._gate.enter(len(jobs))
        place.__enter__()  # now, so that a batch without room is refused; the answer gives it back
        return _Batch(self._stream(request, jobs, asked), place)

    def under(self, hash_seed: int) -> Callable[[], Sandbox]:
        """The sandbox of a hash seed; to be called where making one may take a while."""
        if not 0 <= hash_seed < _SEEDS:
            raise Refused(422, f"hash_seed: got {hash_seed}, expected 0 to {_SEEDS - 1}")
        return lambda: self._sandbox.under(hash_seed)

    async def run(
        self,
        request: Request,
        job: Job,
        *,
        repeat: int = 1,
        retry_timeout: bool = True,
        sandbox: Callable[[], Sandbox] | None = None,
    ) -> Execution:
        """Run a job that has its place; see `work`."""
        own = sandbox or self.under(0)
        execution = await self.work(request, job, lambda: own().run(job, repeat, retry_timeout))
        self._metrics.verdicts.labels(execution.verdict).inc()
        return execution

    async def work(self, request: Request, job: Job, work: Callable[[], T]) -> T:
        """What `work` makes of a job that has its place.

        Raises:
            Refused: It asks for too much, or its tests can't be read.
            SandboxError: The sandbox is broken.
        """
        if high := self._settings.refused(job):
            raise Refused(422, high)
        try:
            return await self._gate.run(work, request.is_disconnected)
        except RecordError as error:
            raise Refused(422, str(error)) from None

    async def _stream(self, request: Request, jobs: list[Any], asked: dict[str, Any]) -> AsyncIterator[str]:
        tasks = [asyncio.ensure_future(self._line(request, i, values, asked)) for i, values in enumerate(jobs)]
        try:
            for done in asyncio.as_completed(tasks):
                yield f"{json.dumps(await done)}\n"
        finally:
            for task in tasks:
                task.cancel()

    async def _line(self, request: Request, index: int, values: Any, asked: Any) -> dict[str, Any]:
        try:
            execution = await self.run(request, read_job(values, f"job {index}"), **asked)
        except (Refused, IterPrefError, ClientLeft) as error:  # of the last nobody reads
            return {"index": index, "error": str(error), "retry": not isinstance(error, Refused)}
        except Exception:  # a fault of ours must not cost the others their answers
            _LOG.exception("job %d of a batch", index)
            return {"index": index, "error": "internal error", "retry": True}
        return {"index": index, "execution": execution.model_dump(mode="json")}


class _Batch(StreamingResponse):
    """Lines as they come; holds the batch's places until the last is sent, or the client has left."""

    def __init__(self, lines: AsyncIterator[str], place: AbstractContextManager[None]) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._place = place

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.__exit__(None, None, None)


async def read_json(request: Request) -> dict[str, Any]:
    """The body, an object; read beside the event loop, for large ones take a while. Lone surrogates pass."""
    try:
        found = await asyncio.to_thread(json.loads, await request.body())
    except (ValueError, RecursionError) as error:
        raise Refused(422, f"the body is not JSON: {error}"[:300]) from None
    if not isinstance(found, dict):
        raise Refused(422, f"the body: got {type(found).__name__}, expected an object")
    return found


def read_job(values: Any, where: str) -> Job:
    try:
        return Job.model_validate(values)
    except ValidationError as error:
        raise Refused(422, explained(where, error)) from None


def explained(where: str, error: ValidationError) -> str:
    """The first faults, without what was sent: that may be large."""
    faults = [f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in error.errors()[:3]]
    return f"{where}: {'; '.join(faults)}"[:1000]


def as_json(values: Mapping[str, Any]) -> Response:
    """In ASCII, so that what is no valid Unicode arrives as it was."""
    return Response(json.dumps(values), media_type="application/json")
