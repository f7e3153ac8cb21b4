"""Packages that some steps need and a plain installation lacks: asked for before the step begins, in one line."""

from importlib.util import find_spec

from iterpref.errors import MissingPackageError

FOR_MODELS = ("torch", "transformers")
FOR_TRAINING = (*FOR_MODELS, "trl", "datasets", "accelerate", "peft")


def need_packages(what: str, *names: str, extra: str = "train") -> None:
    """Refuse what needs packages that aren't installed, before anything is done.

    Raises:
        MissingPackageError: Names them all, and the extra of this package that brings them.
    """
    missing = [name for name in names if not _is_there(name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingPackageError(
            f"{what} needs {', '.join(missing)}, which {verb} not installed; pip install 'iterpref[{extra}]'"
        )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # blocked by whoever imports here
        return False
