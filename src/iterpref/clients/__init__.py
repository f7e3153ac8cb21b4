"""Sources of completions behind one async protocol (`base.Client`), and the ledger that pays each call once."""

from iterpref.clients.ask import ask_all
from iterpref.clients.base import Client, Completion, Request, Sampling
from iterpref.clients.budget import Budget, BudgetConfig, Price
from iterpref.clients.ledger import Ledger, open_ledger
from iterpref.clients.registry import AnyClientConfig, in_this_process
from iterpref.clients.settings import ClientConfig

__all__ = [
    "AnyClientConfig",
    "Budget",
    "BudgetConfig",
    "Client",
    "ClientConfig",
    "Completion",
    "Ledger",
    "Price",
    "Request",
    "Sampling",
    "ask_all",
    "in_this_process",
    "open_ledger",
]
