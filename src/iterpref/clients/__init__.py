"""Sources of completions behind one async protocol (`base.Client`), and the ledger that pays each call once."""

from pathlib import Path

from iterpref.clients.base import Client, Completion, Request, Sampling
from iterpref.clients.budget import Budget, Price
from iterpref.clients.ledger import Ledger
from iterpref.config import ClientConfig

__all__ = ["Budget", "Client", "Completion", "Ledger", "Price", "Request", "Sampling", "open_client"]


def open_client(config: ClientConfig, model: str, folder: Path = Path()) -> Client:
    """The client a config asks for, answering as `model` (a path or hub id); loads torch only for a local model.

    `folder` is the run's: batches that were submitted are noted in it.
    """
    if config.kind == "replay":
        from iterpref.clients.replay import ReplayClient

        return ReplayClient(model)
    if config.kind == "openai" and config.batch:
        from iterpref.clients.batch import BatchClient

        return BatchClient(model, config, folder / "batches")
    if config.kind == "openai":
        from iterpref.clients.openai import OpenAIClient

        return OpenAIClient(model, config)
    from iterpref.clients.local import LocalClient

    return LocalClient(model, config.batch_size, config.device)
