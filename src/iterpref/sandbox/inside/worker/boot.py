"""How an interpreter inside is started: with the folder `inside` as a package of its own, and nothing of iterpref."""

import os
import sys

PACKAGE = "_iterpref_sandbox"
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# For the zygote alone: the linker looks functions up when that starts, and not in every run that calls one first.
BINDING = "LD_BIND_NOW"
LOADING = (
    f"import sys, types; package = types.ModuleType('{PACKAGE}'); package.__path__ = [sys.argv[1]]; "
    "sys.modules[package.__name__] = package; "
)


def command(code: str, *arguments: object, folder: str = FOLDER) -> list[str]:
    """Run `code`, which finds the package loaded and `arguments` as texts from `sys.argv[2]` on."""
    return [sys.executable, "-s", "-P", "-S", "-B", "-c", LOADING + code, folder, *map(str, arguments)]
