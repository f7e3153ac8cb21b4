"""The sandbox over HTTP: programs in, Executions out, for trainers and evaluations in other processes or places.

    iterpref serve --port 8080

    from iterpref.sandbox.remote import ServedSandbox
    with ServedSandbox("http://127.0.0.1:8080") as sandbox:
        execution = sandbox.run(job)

Routes: `/jobs`, ours; `/run_code`, `/submit`, `/v1/ping`, as SandboxFusion's clients call them; `/health`, `/metrics`.
Read app.py first. Not here: how a program is run and graded (sandbox).
"""

from .app import service_app
from .serve import serve
from .settings import ServiceSettings

__all__ = ["ServiceSettings", "serve", "service_app"]
