"""The `replay` kind of client: recorded completions, for tutorials and tests without a model, and bought calls again.

The recording is JSONL, one object a line: `{"messages": [...], "completions": ["...", "..."]}`. A request is matched by
its messages, and its `sample_index` picks the completion. Nothing is invented: an unrecorded request is an error.
Memory doesn't grow with the recording: it is checked once, line by line, and read again where a request points to.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from iterpref.clients.base import Client, ClientConfig, Completion, Request
from iterpref.errors import ClientError
from iterpref.records import Message, Record, fingerprint
from iterpref.store import LineIndex


class ReplayConfig(ClientConfig):
    """A recording."""

    kind: Literal["replay"] = "replay"
    model: str = "playground"
    """The recording: a JSONL file."""

    def describe(self) -> str:
        return f"the recording {self.model}"

    @property
    def at_a_time(self) -> int:
        return 256  # answers are at hand; enough to keep a sandbox busy with them

    def price(self) -> None:
        return None

    @contextmanager
    def open(self, folder: Path) -> Iterator[Client]:
        with closing(ReplayClient(self.model)) as client:
            yield client


class RecordedCall(Record):
    """One line of a recording."""

    messages: tuple[Message, ...]
    completions: tuple[str, ...]


class ReplayClient:
    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._index = LineIndex()
        try:
            self._file = self._path.open("rb")
        except OSError as error:
            raise ClientError(f"{path}: can't read this recording ({error.strerror}); check client.model") from None
        try:
            self.name = f"replay:{self._read()[:24]}"
        except BaseException:
            self.close()
            raise

    def _read(self) -> str:
        """Index all lines; the hash of the file."""
        content = hashlib.sha256()
        start = 0
        for number, line in enumerate(self._file, start=1):
            content.update(line)
            if line.strip():
                self._index.put(_key(self._recorded(number, line).messages), start, len(line))
            start += len(line)
        return content.hexdigest()

    def _recorded(self, number: int, line: bytes) -> RecordedCall:
        try:
            return RecordedCall.model_validate(json.loads(line))
        except ValueError as error:
            raise ClientError(f"{self._path}:{number}: not a recorded call: {error}") from None

    async def complete(self, request: Request) -> Completion:
        found = self._index.find(_key(request.messages))
        completions: list[str] = []
        if found is not None:
            self._file.seek(found[0])
            completions = json.loads(self._file.read(found[1]))["completions"]
        if request.sample_index >= len(completions):
            asked = f"sample {request.sample_index} of the request that ends with {request.messages[-1].content[:80]!r}"
            there = f"is not recorded ({len(completions)} completions are); record it, or ask a model"
            raise ClientError(f"{self._path}: {asked} {there}")
        return Completion(text=completions[request.sample_index])

    def close(self) -> None:
        self._index.close()
        self._file.close()


def _key(messages: tuple[Message, ...]) -> str:
    return fingerprint([message.model_dump() for message in messages])
