"""`service_app`: a sandbox → an ASGI application with all routes behind one gate and one guard."""

import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

import iterpref
from iterpref.errors import SandboxError
from iterpref.sandbox import ENGINE_VERSION, Sandbox

from .fusion import Fusion
from .gate import ClientLeft, Full, Gate
from .guard import Guard, Refused
from .jobs import Jobs
from .metrics import ServiceMetrics
from .settings import ServiceSettings
from .twin import Twin


def service_app(sandbox: Sandbox, settings: ServiceSettings) -> Any:
    """The application; it closes the sandbox when it ends."""
    metrics = ServiceMetrics()
    gate = Gate(sandbox.workers, settings.queue, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        gate.close()
        sandbox.close()

    app = FastAPI(title="IterPref sandbox", version=iterpref.__version__, lifespan=lifespan)
    jobs = Jobs(sandbox, gate, metrics, settings)
    app.include_router(jobs.router)
    app.include_router(Fusion(sandbox, gate, jobs).router)
    app.include_router(Twin(gate, jobs).router)
    health = {
        "status": "ok", "workers": sandbox.workers, "places": gate.places, "isolation": sandbox.isolation,
        "engine": ENGINE_VERSION, "python": platform.python_version(), "warnings": list(sandbox.warnings),
    }  # fmt: skip

    @app.get("/health")
    async def _health() -> dict[str, Any]:
        return health

    @app.get("/metrics")
    async def _metrics() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    _answer_errors(app)
    return Guard(app, settings, metrics)


def _answer_errors(app: FastAPI) -> None:
    """Errors as JSON with one key, and nothing of this machine in them."""

    @app.exception_handler(Full)
    async def _full(_: Request, error: Full) -> Response:
        return JSONResponse({"error": str(error)}, 429, {"Retry-After": str(error.retry_after_s)})

    @app.exception_handler(Refused)
    async def _refused(_: Request, error: Refused) -> Response:
        return JSONResponse({"error": str(error)}, error.status)

    @app.exception_handler(SandboxError)
    async def _broken(_: Request, error: SandboxError) -> Response:
        return JSONResponse({"error": str(error)[:1000]}, 503, {"Retry-After": "1"})

    @app.exception_handler(ClientLeft)
    async def _gone(_: Request, error: ClientLeft) -> Response:
        return Response(status_code=499)  # nobody reads it
