"""Fork handlers of the standard library that the zygote's own forks don't need.

`random` and `threading` have Python run code of theirs in every forked child: a fresh seed, new locks in place of ones
that another thread may hold. A zygote has one thread, holds no lock and seeds its children itself, and these handlers
touch so many pages that they cost more than the fork. So while the zygote imports, they are noted instead of
registered, and registered when a run's process forks for the first time: the processes of a program get what they get
anywhere. Handlers of other modules are left alone. Imports none of those modules.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

_SPARED = ("random", "threading")
_noted: list[Callable[[], object]] = []  # handlers `after_in_child`
in_run = False  # set in the process of a run; process numbers can not tell, zygote and run both being number 1
_register = getattr(os, "register_at_fork", None)


def note() -> None:
    """From now on, note the handlers of those modules. To be called before anything imports them."""
    if _register is not None:
        os.register_at_fork = _note  # type: ignore[assignment]


def stop() -> None:
    """In the zygote: register every handler from now on, and those noted as soon as a run's process forks."""
    if _register is not None:
        os.register_at_fork = _register
        _register(before=_before)


def _note(**handlers: Any) -> None:
    assert _register is not None
    if handlers.keys() == {"after_in_child"} and sys._getframe(1).f_globals.get("__name__") in _SPARED:
        _noted.append(handlers["after_in_child"])
    else:
        _register(**handlers)


def _before() -> None:
    if in_run and _noted:
        assert _register is not None
        for handler in _noted:
            _register(after_in_child=handler)
        _noted.clear()
