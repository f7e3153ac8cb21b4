"""How the tests ask a service."""

from collections.abc import Callable
from typing import Any

import httpx2

Start = Callable[..., str]
"""Starts a service of the given workers and settings, and returns its address."""


def post(url: str, body: Any, **more: Any) -> httpx2.Response:
    return httpx2.post(url, json=body, timeout=60.0, **more)
