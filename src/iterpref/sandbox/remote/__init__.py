"""Sandboxes that run elsewhere, behind the methods of `Sandbox`: on a cluster's workers, or behind a service."""

from .cluster import RemoteSandbox
from .service import ServedSandbox

__all__ = ["RemoteSandbox", "ServedSandbox"]
