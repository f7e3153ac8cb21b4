"""A file, packed or not → its bytes. How it is packed is told by its first bytes, never by its name."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .row import UnreadableSource

PACKED_ENDINGS = {".gz", ".bz2", ".xz", ".zst"}
_EXPECTED = "expected JSONL in UTF-8, gzipped or not"


@contextmanager
def unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, its packing undone; whatever goes wrong while they are read is an UnreadableSource."""
    with readable(path), path.open("rb") as raw:
        lead = raw.peek(6)[:6]
        if lead.startswith(b"PK\x03\x04"):
            reason = "a ZIP archive or a spreadsheet"
            raise UnreadableSource(f"{path}: {reason}; unpack it, or save the table as CSV", reason)
        with _opened(raw, lead) as file:
            yield io.BufferedReader(file)  # all of them can be peeked into


def _opened(raw: io.BufferedReader, lead: bytes) -> Any:
    if lead.startswith(b"\x1f\x8b"):
        return gzip.open(raw)
    if lead.startswith(b"BZh"):
        return bz2.open(raw)
    if lead.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(raw)
    if lead.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return raw


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read → UnreadableSource."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = f"damaged ({error})"
        raise UnreadableSource(f"{path}: {reason}; {_EXPECTED}", reason) from None
    except OSError as error:
        if error.errno is None:  # the packing is broken, not the disk
            raise UnreadableSource(f"{path}: damaged ({error}); {_EXPECTED}", f"damaged ({error})") from None
        reason = str(error.strerror or error)
        raise UnreadableSource(f"{path}: can't read this file ({reason}); check the path", reason) from None
