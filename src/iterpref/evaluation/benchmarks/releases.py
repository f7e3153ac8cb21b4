"""Where the rows of a published benchmark come from: a path, else an environment variable, else its release.

A local file is whatever `iterpref.rows` reads. A release is pinned: an address with a version in it, or a hub data set
at one commit; what was downloaded is kept in the user's cache.
"""

import os
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from iterpref.errors import ConfigError, RecordError
from iterpref.files import whole
from iterpref.rows import BrokenRow, DatasetPart, SourceRow, UnreadableSource, hub_rows, kind_in_words, read_rows

PublishedRow = dict[str, Any]
_DOWNLOAD_S = 60.0


@dataclass(frozen=True)
class Release:
    """One release of a benchmark.

    Args:
        version: What `url` or `hub` gives; a file of one's own may be another.
        variables: Environment variables that may name a local file, the first one set wins.
        fields: Columns that each row must have, text but for the `other` ones.
        url: A file to download.
        hub: Data set id, where there is no plain file; with its `revision` (a commit), `split` and `config`.
        files: Of the hub data set, where they are read instead of a split; a path may name a folder that has them.
    """

    name: str
    version: str
    variables: tuple[str, ...]
    fields: tuple[str, ...]
    other: tuple[str, ...] = ()
    url: str = ""
    hub: str = ""
    revision: str = ""
    split: str = "test"
    config: str | None = None
    files: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold text."""
        return tuple(name for name in self.fields if name not in self.other)


_ANY = Release(name="", version="", variables=(), fields=())


class Loaded(NamedTuple):
    """Rows, and where they were found, in words."""

    rows: list[PublishedRow]
    place: str


def load(release: Release, path: str | None = None) -> Loaded:
    """The rows of a benchmark: from `path`, else from the file an environment variable names, else from its release.

    Raises:
        ConfigError: The file can't be read, or the release can't be reached.
        RecordError: A line is not JSON or lacks a field.
    """
    named = path or next((os.environ[name] for name in release.variables if os.environ.get(name)), None)
    chosen = Path(named) if named else None
    if chosen and not (release.files and chosen.is_dir()):
        rows, place = read_file(chosen, release), f"file {chosen.name}"
    elif release.files:
        paths = [chosen / name if chosen else _file_of_hub(release, name) for name in release.files]
        rows = [row for each in paths for row in read_file(each, release)]
        place = f"{release.hub} {', '.join(release.files)}"
    elif release.url:
        rows = read_file(_downloaded(release), release)
        place = f"release {release.version} ({release.url})"
    else:
        rows = _from_hub(release)
        place = f"{release.hub} {release.split}, revision {release.revision}"
    if not rows:
        raise RecordError(f"benchmark {release.name}: {place} holds no rows; expected one JSON object a line")
    return Loaded(rows, place)


def read_file(path: Path, release: Release = _ANY) -> list[PublishedRow]:
    """The objects of a local file, as rows of a release.

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line is not a JSON object, or lacks a field, or has no text in it; with its number.
    """
    try:
        return _checked(read_rows(path, name=str(path)), release)
    except UnreadableSource as error:
        raise ConfigError(str(error)) from None
    except BrokenRow as error:
        if error.byte is not None:
            raise ConfigError(f"{path}: damaged ({error.reason}); expected JSONL in UTF-8, gzipped or not") from None
        where = f"{path}:{error.number}"
        if error.value is None:
            raise RecordError(f"{where}: not JSON ({error.reason}); expected one object a line") from None
        kind = type(error.value).__name__
        raise RecordError(f"{where}: got {kind}, expected an object with {', '.join(release.fields)}") from None


def cache_folder() -> Path:
    """Where downloads and reference outputs are kept: `ITERPREF_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("ITERPREF_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "iterpref"


def _checked(rows: Iterable[SourceRow], release: Release) -> list[PublishedRow]:
    found = []
    for row in rows:
        missing = [name for name in release.fields if name not in row.values]
        if missing:
            got, expected = ", ".join(sorted(row.values)), ", ".join(release.fields)
            raise RecordError(f"{row.where}: without {', '.join(missing)}; got {got}, expected {expected}")
        odd = next((name for name in release.texts if not isinstance(row.values[name], str)), None)
        if odd:
            raise RecordError(f"{row.where}: {odd} is {kind_in_words(row.values[odd])}, expected a text")
        found.append(row.values)
    return found


def _downloaded(release: Release) -> Path:
    """The release's file in the cache, fetched when it isn't there; whole or not at all."""
    path = cache_folder() / "benchmarks" / f"{release.name}-{release.version}-{release.url.rsplit('/', 1)[-1]}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            try:
                with urllib.request.urlopen(release.url, timeout=_DOWNLOAD_S) as answer:
                    partial.write_bytes(answer.read())
            except OSError as error:
                raise _unreachable(release, release.url, error) from None
    return path


def _file_of_hub(release: Release, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(release.hub, name, repo_type="dataset", revision=release.revision))
    except Exception as error:  # the hub's client raises many kinds
        raise _unreachable(release, name, error) from None


def _from_hub(release: Release) -> list[PublishedRow]:
    rows = hub_rows(release.hub, DatasetPart(release.split, release.config, release.revision))
    try:
        return _checked(rows, release)
    except UnreadableSource as error:
        raise _unreachable(release, release.hub, error.reason or error) from None


def _unreachable(release: Release, what: str, error: Exception | str) -> ConfigError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    it = f"the folder of {', '.join(release.files)}" if release.files else "the file"
    return ConfigError(
        f"benchmark {release.name}: {what} can't be reached ({reason}). Download it elsewhere and name {it} "
        f"by evaluation.path or the environment variable {release.variables[0]}"
    )
