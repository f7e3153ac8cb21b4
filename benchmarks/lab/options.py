"""What the laboratory's commands have in common: options, and how they end."""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from iterpref.errors import IterPrefError

from .domains import BASES


def grid_parser(name: str, says: str) -> argparse.ArgumentParser:
    """The options of a command that runs grids; the grids themselves are left to it."""
    parser = argparse.ArgumentParser(prog=name, description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("../lab-work"), help="Folder for records and runs.")
    parser.add_argument("--bases", type=Path, default=BASES, help="Folder of base models; default: %(default)s.")
    parser.add_argument("--jobs", type=int, default=_cores(), metavar="N", help="Cells at once; default: %(default)s.")
    parser.add_argument("--from-published", action="store_true", help="Begin with the published records.")
    parser.add_argument("--estimate", action="store_true", help="Only say how long it will take.")
    parser.add_argument("--publish", action="store_true", help="Only write what is finished into docs/ and data.")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: expected 1 or more")
    return options


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_command(command: Callable[[], int]) -> None:
    """End with the command's status, and where it can't go on with why."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before any process loads torch
    try:
        sys.exit(command())
    except IterPrefError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; finished cells are kept, and the same command goes on")


def say(said: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {said}", flush=True)
