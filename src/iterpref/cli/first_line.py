"""The first line of a command, on standard error before anything slow: which run, whose settings, which model."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .verb import CURRENT

if TYPE_CHECKING:
    from iterpref.config import Config

_CLIENTS = {"synthesize": ("client",), "debug": ("client", "repair_client"), "judge": ("judge_client",),
            "revise": ("judge_client",), "diagnose": ("client",), "run": ("client", "repair_client"),
            "demo": ("client",)}  # fmt: skip
_MODEL = ("train", "run", "demo")
_BENCHMARK = ("evaluate", "run", "demo")


def say_first_line(run: Path, source: str, overrides: Sequence[str], config: "Config") -> None:
    """Once a command: a launcher's other processes have nothing to add."""
    if os.environ.get("RANK", "0") != "0":
        return
    verb, given = CURRENT.get()
    changed = "".join(f", --set {override.split('=')[0]}" for override in overrides)
    uses = "".join(f"; {use}" for use in _uses(verb, config, given))
    print(f"{verb} {run}: settings {source}{changed}{uses}", file=sys.stderr, flush=True)


def _uses(verb: str, config: "Config", given: dict[str, Any]) -> Iterator[str]:
    from iterpref.playground.coder import describe_model

    for name in _CLIENTS.get(verb, ()):
        client = getattr(config, name) or (config.client if name == "judge_client" else None)
        if client is not None:
            key = name if getattr(config, name) else "client"
            yield f"{name} {client.describe()}{_another(client.model, f'{key}.model')}"
            if client.price():
                most = config.budget.max_budget_usd
                yield "no budget" if most is None else f"budget ${most:g}"
    if verb in _MODEL:
        yield f"model {describe_model(config.model)}{_another(config.model, 'model')}"
    if verb in _BENCHMARK:
        yield f"benchmark {config.evaluation.benchmark}"
    if verb == "suite":
        yield f"benchmarks {', '.join(given.get('benchmark') or config.suite.benchmarks or ['of the paper'])}"
    if verb in ("evaluate", "suite"):
        yield from _evaluated(config, given)


def _evaluated(config: "Config", given: dict[str, Any]) -> Iterator[str]:
    from iterpref.playground.coder import describe_model

    samples, models, client = given.get("samples") or [], given.get("model") or [], config.evaluation.client
    if samples:
        yield f"samples {', '.join(map(str, samples))}"
    elif not models:
        yield f"model {client.describe() if client else describe_model(config.model)}"
    if models:
        asked = (client.model_copy(update={"model": model}).describe() if client else describe_model(model)
                 for model in models)  # fmt: skip
        yield f"model {', '.join(asked)}"


def _another(model: str, key: str) -> str:
    return f" (another: --set {key}=NAME)" if model == "playground" else ""
