"""A pool whose runs also tell which lines of the program ran; to all others they look like ordinary runs.

Not here: what a measured run does (inside/harness/measuring.py), and what share of a program that is.
"""

import json
from typing import Any

from ..inside.values.request import RunRequest
from ..inside.values.texts import CASE_CHARS, shorten
from ..inside.worker.wire import RawRun
from .pool import Pool

Arc = tuple[int, int]


class MeasuringPool:
    """Runs on `pool`, one job at a time. `arcs`: what all runs so far went through; `problem`: why some is not seen."""

    def __init__(self, pool: Pool) -> None:
        self.arcs: set[Arc] = set()
        self.problem = ""
        self._pool = pool

    def run(self, request: RunRequest, stdin: str) -> RawRun:
        """As `Pool.run`. Negative controls, which repeat a run, are not measured."""
        if request["control"]:
            return self._pool.run(request, stdin)
        raw = self._pool.run({**request, "measure": True}, stdin)
        mark = f'{request["nonce"]}["coverage", '.encode()
        lines = raw.channel.split(b"\n")
        told = [line for line in lines if line.startswith(mark)]
        raw.channel = b"\n".join(line for line in lines if not line.startswith(mark))
        try:
            (line,) = told
            _, arcs, problem = json.loads(line[len(request["nonce"]) :])
            self.arcs |= {_arc(*arc) for arc in arcs}
        except (ValueError, TypeError, RecursionError):
            problem = "the run ended before its coverage could be read"
        self.problem = self.problem or shorten(str(problem), CASE_CHARS)
        return raw


def _arc(start: Any, stop: Any) -> Arc:
    if type(start) is not int or type(stop) is not int:
        raise TypeError(f"an arc from {start!r} to {stop!r}")
    return start, stop
