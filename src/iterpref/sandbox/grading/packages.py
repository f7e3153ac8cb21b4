"""Modules that a run loaded → the installed packages they belong to, as this machine knows them."""

import functools
from collections.abc import Collection, Mapping
from importlib import metadata


def installed(modules: Collection[str]) -> tuple[str, ...]:
    """`numpy 2.4.6` for each package that one of the modules belongs to; what no package installed is left out."""
    owners = _owners()
    return tuple(sorted({text for module in modules for text in owners.get(module, ())}))


@functools.cache
def _owners() -> Mapping[str, tuple[str, ...]]:
    """By top-level module, the names and versions of the packages that have files in it."""
    named = metadata.packages_distributions()
    versions = {name: metadata.version(name) for names in named.values() for name in names}
    return {module: tuple(f"{name} {versions[name]}" for name in set(names)) for module, names in named.items()}
