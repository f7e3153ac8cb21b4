"""A sandbox that runs elsewhere, behind `iterpref serve`: the methods of `Sandbox`, over HTTP.

Running a job again gives the same Execution, so what fails on the way is asked again. A service that can't be reached
says nothing about a program: after `patience_s` the verdict is `sandbox_error`, as where a sandbox here breaks.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from iterpref.errors import RecordError, SandboxError
from iterpref.records import Execution, Isolation

from .. import CallResults, Job, Measured, ScriptRun, run_many
from . import forms

if TYPE_CHECKING:
    import httpx2

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
T = TypeVar("T")


class _NoAnswer(Exception):
    """The service gave none while there was patience."""


class ServedSandbox:
    """Runs jobs on a service. A context manager; `run` may be called from several threads at once.

    Args:
        url: As `http://127.0.0.1:8080`.
        token: What the service was started with.
        workers: Jobs under way at once, of this process.
        patience_s: How long one job may wait for a place, its run, and a service that is gone.
        hash_seed: Of Python inside, as in `Sandbox`; 0 to 9.

    Raises:
        SandboxError: `url` is none.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        workers: int = 32,
        patience_s: float = 600.0,
        hash_seed: int = 0,
    ) -> None:
        import httpx2

        self.workers, self.place, self._hash_seed = workers, url, hash_seed
        self._url, self._patience_s = url.rstrip("/"), patience_s
        if not self._url.startswith(("http://", "https://")):
            raise SandboxError(f"service: got {url!r}, expected an address as http://127.0.0.1:8080")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._trouble: type[Exception] = httpx2.TransportError
        self._clients: dict[int, httpx2.Client] = {}
        self._lock = threading.Lock()

    @property
    def _client(self) -> "httpx2.Client":
        """Of this process: one that was forked must not speak on its parent's connections."""
        import httpx2

        with self._lock:
            if os.getpid() not in self._clients:
                limits = httpx2.Limits(max_connections=self.workers, max_keepalive_connections=self.workers)
                self._clients[os.getpid()] = httpx2.Client(headers=self._headers, limits=limits, timeout=10.0)
            return self._clients[os.getpid()]

    @cached_property
    def health(self) -> dict[str, Any]:
        """What the service says of itself: workers, isolation, engine; SandboxError where it can't be reached."""
        found: Any = self._get("/health", lambda answer: answer.json())
        if not isinstance(found, dict) or not found.keys() >= {"engine", "isolation", "warnings", "workers"}:
            raise SandboxError(f"service {self._url}: something else answers there; is iterpref serve running there?")
        return found

    def check_token(self) -> None:
        """SandboxError where the service wouldn't run a job of this one, for want of the right token."""
        self._get("/metrics", lambda answer: answer.text)

    def _get(self, route: str, read: Callable[[Any], T]) -> T:
        try:
            answer = self._client.get(f"{self._url}{route}")
            if answer.status_code != 200:
                raise SandboxError(f"service {self._url}: {self._said(answer)}")
            return read(answer)
        except (self._trouble, ValueError) as error:
            raise SandboxError(
                f"service {self._url}: {error or type(error).__name__}; is iterpref serve running there?"
            ) from None

    @property
    def isolation(self) -> Isolation:
        """The rung there; each Execution names its own."""
        rung: Isolation = self.health["isolation"]
        return rung

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.health["warnings"])

    def run(self, job: Job, repeat: int = 1, retry_timeout: bool = True) -> Execution:
        """Run one job there and say what happened; see `Sandbox.run`.

        Raises:
            RecordError: The service refuses the job: its tests can't be read, or it asks for too much.
            SandboxError: The token is wrong, or this is no service of ours.
        """
        query = {"repeat": str(repeat), "retry_timeout": str(retry_timeout).lower()}
        try:
            return self._ask("/jobs", job, Execution.model_validate, query)
        except _NoAnswer as trouble:
            return _not_run(trouble)

    def measure(self, job: Job) -> Measured:
        """Run a job there and say which lines ran; see `Sandbox.measure`, and `run` for what it raises."""
        try:
            return self._ask("/jobs/measure", job, forms.read_measured)
        except _NoAnswer as trouble:
            return Measured(_not_run(trouble), frozenset(), str(trouble))

    def answers(self, job: Job) -> CallResults:
        """The results of the calls of a `calls` job; see `Sandbox.answers`.

        Raises:
            RecordError: The job's tests are not call tables.
            SandboxError: The sandbox there is broken, or gives no answer.
        """
        return self._ask_or_raise("/jobs/answers", job, forms.read_answers)

    def run_script(self, job: Job) -> ScriptRun:
        """Run a job's program without its tests; see `Sandbox.run_script`, and `answers` for what it raises."""
        return self._ask_or_raise("/jobs/script", job, forms.read_script)

    def _ask_or_raise(self, route: str, job: Job, read: Callable[[dict[str, Any]], T]) -> T:
        try:
            return self._ask(route, job, read)
        except _NoAnswer as trouble:
            raise SandboxError(str(trouble)) from None

    def _ask(self, route: str, job: Job, read: Callable[[dict[str, Any]], T], query: dict[str, str] | None = None) -> T:
        """The answer to one request, which is sent again until there is one; _NoAnswer where patience ends."""
        query = (query or {}) | ({"hash_seed": str(self._hash_seed)} if self._hash_seed else {})
        body = json.dumps(job.model_dump(mode="json"))  # ASCII: lone surrogates arrive as they are
        deadline, wait_s, trouble = time.monotonic() + self._patience_s, _FIRST_WAIT_S, ""
        while True:
            left_s = max(0.1, deadline - time.monotonic())
            try:
                answer = self._client.post(f"{self._url}{route}", params=query, content=body, timeout=left_s)
            except self._trouble as error:
                trouble = str(error) or type(error).__name__
            else:
                if answer.status_code == 200:
                    return self._read(answer, read)
                trouble = self._said(answer)
                asked_s = answer.headers.get("Retry-After", "")
                wait_s = max(wait_s, float(asked_s) if asked_s.isdigit() else 0.0)
            if time.monotonic() + wait_s > deadline:
                raise _NoAnswer(f"The service {self._url} gave no answer in {self._patience_s:g} s: {trouble}")
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def run_many(self, jobs: Iterable[Job], repeat: int = 1) -> Iterator[Execution]:
        """Executions in the order of the jobs, as they finish; jobs are drawn as places become free."""
        return run_many(self.run, jobs, repeat, self.workers)

    def close(self) -> None:
        """End the connections; the service goes on."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, answer: Any, read: Callable[[dict[str, Any]], T]) -> T:
        try:
            return read(answer.json())
        except (ValueError, TypeError, KeyError):
            raise SandboxError(
                f"service {self._url}: its answer is none of this version of IterPref: {answer.text[:200]}"
            ) from None

    def _said(self, answer: Any) -> str:
        """Why there is no Execution yet, where asking again may help."""
        try:
            said = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            said = answer.text[:200]
        if answer.status_code in (408, 429, 500, 502, 503, 504):
            return f"{answer.status_code}: {said}"
        if answer.status_code in (413, 422):
            raise RecordError(f"service {self._url}: {said}")
        raise SandboxError(f"service {self._url}: {answer.status_code}: {said}")


def _not_run(trouble: _NoAnswer) -> Execution:
    return Execution(verdict="sandbox_error", trust="in_process", isolation="service", phase="none", error=str(trouble))
