"""Sandboxes that run elsewhere, behind the methods of `Sandbox`: on a cluster's workers, or behind a service."""

from .. import Sandbox
from .cluster import RemoteSandbox
from .connect import connect
from .service import ServedSandbox

AnySandbox = Sandbox | ServedSandbox
"""What runs programs for a stage: this machine, or a service."""

__all__ = ["AnySandbox", "RemoteSandbox", "ServedSandbox", "connect"]
