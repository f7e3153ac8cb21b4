"""Where the rows of a published benchmark come from: a path, else an environment variable, else its release.

In: a `Source`. Out: rows (dicts) as published, and a word on where they were found. A local file is JSONL, gzipped or
not, or Parquet. A release is pinned: an address with a version in it, or a hub data set at one commit; what was
downloaded is kept in the user's cache. Not here: what the rows mean (one file per benchmark).
"""

import gzip
import json
import os
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterpref.errors import ConfigError, RecordError

Row = dict[str, Any]
_DOWNLOAD_S = 60.0


@dataclass(frozen=True)
class Source:
    """One release of a benchmark.

    Args:
        version: Of the release that `url` or `hub` gives; a file of one's own may be another.
        variables: Environment variables that may name a local file, the first one set wins.
        url: A file to download.
        hub: Data set id, `split` and `revision` (a commit), where there is no plain file.
        config: Configuration of the hub data set.
        fields: Columns that each row must have.
    """

    name: str
    version: str
    variables: tuple[str, ...]
    fields: tuple[str, ...]
    url: str = ""
    hub: str = ""
    revision: str = ""
    split: str = "test"
    config: str | None = None


@dataclass(frozen=True)
class Loaded:
    """Rows, and where they were found, in words."""

    rows: list[Row]
    place: str


def load(source: Source, path: str | None = None) -> Loaded:
    """The rows of a benchmark: from `path`, else from the file an environment variable names, else from its release.

    Raises:
        ConfigError: The file can't be read, or the release can't be reached.
        RecordError: A line is not JSON or lacks a field.
    """
    variable = next((name for name in source.variables if os.environ.get(name)), None)
    if path or variable:
        chosen = path or os.environ[variable or ""]
        rows, place = read_rows(Path(chosen), source.fields), f"file {Path(chosen).name}"
    elif source.url:
        rows = read_rows(_downloaded(source), source.fields)
        place = f"release {source.version} ({source.url})"
    else:
        rows = _from_hub(source)
        place = f"{source.hub} {source.split}, revision {source.revision}"
    if not rows:
        raise RecordError(f"benchmark {source.name}: {place} holds no rows; expected one JSON object a line")
    return Loaded(rows, place)


def read_rows(path: Path, fields: Collection[str] = ()) -> list[Row]:
    """The objects of a JSONL (perhaps gzipped) or Parquet file.

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line is not a JSON object, or lacks a field; with its number.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path, fields)
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise RecordError(f"{path}:{number}: not JSON ({error}); expected one object a line") from None
        _check_fields(f"{path}:{number}", row, fields)
        rows.append(row)
    return rows


def cache_folder() -> Path:
    """Where downloads and reference outputs are kept: `ITERPREF_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("ITERPREF_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "iterpref"


def _check_fields(place: str, row: Any, fields: Collection[str]) -> None:
    if not isinstance(row, dict):
        raise RecordError(f"{place}: got {type(row).__name__}, expected an object with {', '.join(fields)}")
    missing = [name for name in fields if name not in row]
    if missing:
        raise RecordError(
            f"{place}: without {', '.join(missing)}; got {', '.join(sorted(row))}, expected {', '.join(fields)}"
        )


def _text(path: Path) -> str:
    try:
        body = path.read_bytes()
        return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: can't read this file ({error.strerror or error}); check the path") from None
    except (EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: damaged ({error}); expected JSONL in UTF-8, gzipped or not") from None


def _read_parquet(path: Path, fields: Collection[str]) -> list[Row]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except (OSError, ArrowException) as error:
        raise ConfigError(f"{path}: can't read this Parquet file ({error})") from None
    for number, row in enumerate(rows, start=1):
        _check_fields(f"{path} row {number}", row, fields)
    return rows


def _downloaded(source: Source) -> Path:
    """The release's file in the cache, fetched when it isn't there; whole or not at all."""
    path = cache_folder() / "benchmarks" / f"{source.name}-{source.version}-{source.url.rsplit('/', 1)[-1]}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            with urllib.request.urlopen(source.url, timeout=_DOWNLOAD_S) as answer:
                partial.write_bytes(answer.read())
        except OSError as error:
            raise ConfigError(_unreachable(source, source.url, error)) from None
        partial.replace(path)
    return path


def _from_hub(source: Source) -> list[Row]:
    from datasets import load_dataset

    try:
        found = load_dataset(source.hub, source.config, split=source.split, revision=source.revision)
    except Exception as error:  # the hub's client raises many kinds
        raise ConfigError(_unreachable(source, source.hub, error)) from None
    rows = [dict(row) for row in found]
    for number, row in enumerate(rows, start=1):
        _check_fields(f"{source.hub} row {number}", row, source.fields)
    return rows


def _unreachable(source: Source, where: str, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return (
        f"benchmark {source.name}: {where} can't be reached ({reason}). Download it elsewhere and name the file by "
        f"evaluation.path or the environment variable {source.variables[0]}"
    )
