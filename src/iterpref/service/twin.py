"""What else `Sandbox` does, for its twin elsewhere (`sandbox.remote.ServedSandbox`).

POST /jobs/measure    a Job → its Execution, and which lines ran after which
POST /jobs/answers    a Job of style calls → what its calls returned, not graded
POST /jobs/script     a Job without tests → exit status and output of its program
?hash_seed=1          as for /jobs
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.remote import forms

from .gate import Gate
from .jobs import Jobs, as_json, read_job, read_json

Way = Callable[[Sandbox, Job], dict[str, Any]]
_WAYS: dict[str, Way] = {
    "measure": lambda sandbox, job: forms.measured_form(sandbox.measure(job)),
    "answers": lambda sandbox, job: forms.answers_form(sandbox.answers(job)),
    "script": lambda sandbox, job: forms.script_form(sandbox.run_script(job)),
}


class Twin:
    """The routes' handlers."""

    def __init__(self, gate: Gate, jobs: Jobs) -> None:
        self._gate, self._jobs = gate, jobs
        self.router = APIRouter()
        for name, way in _WAYS.items():
            self.router.add_api_route(f"/jobs/{name}", self._route(way), methods=["POST"], response_model=None)

    def _route(self, way: Way) -> Callable[..., Any]:
        async def answer(request: Request, hash_seed: int = 0) -> Response:
            sandbox, job = self._jobs.under(hash_seed), read_job(await read_json(request), "job")
            with self._gate.enter():
                return as_json(await self._jobs.work(request, job, lambda: way(sandbox(), job)))

        return answer
