"""The `replay` kind of client: recorded completions, for tutorials and tests without a model, and bought calls again.

The recording is JSONL, one object a line: `{"messages": [...], "completion": "..."}` answers every request with these
messages; with a `sample_index` only that draw of them (in debugging, the iteration). `"completions": ["...", "..."]`
instead holds the draws from 0 on. `"finish_reason": "length"` says that an answer was cut at its token limit.
Nothing is invented: an unrecorded request is an error, and a line for it, to be filled in, is added to
`logs/not_recorded.jsonl` of the run. `iterpref export --format calls` writes a recording. Memory doesn't grow with the
recording: it is checked once, line by line, and read again where a request points to.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from iterpref.clients.base import Client, ClientConfig, Completion, Request
from iterpref.errors import ClientError
from iterpref.records import Message, Record, fingerprint
from iterpref.run_folder import RunFolder
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
            client.missing = RunFolder(folder).logs / "not_recorded.jsonl"
            yield client


class RecordedCall(Record):
    """One line of a recording: either `completion`, of one draw or of all, or `completions`."""

    messages: tuple[Message, ...]
    completion: str | None = None
    sample_index: int | None = None
    completions: tuple[str, ...] | None = None
    finish_reason: Literal["stop", "length"] = "stop"

    @model_validator(mode="after")
    def _answers(self) -> Self:
        if (self.completion is None) == (self.completions is None):
            raise ValueError("expected completion (a text) or completions (a list of texts)")
        return self

    @property
    def key(self) -> str:
        return _key(self.messages, self.sample_index)

    def answer(self, index: int) -> str | None:
        """The completion of a draw; None if it is not here."""
        if self.completions is None:
            return self.completion
        return self.completions[index] if index < len(self.completions) else None


class ReplayClient:
    missing: Path | None = None
    """Where lines for requests that are not recorded go, to be filled in."""

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
                self._index.put(self._recorded(number, line).key, start, len(line))
            start += len(line)
        return content.hexdigest()

    def _recorded(self, number: int, line: bytes) -> RecordedCall:
        try:
            return RecordedCall.model_validate(json.loads(line))
        except ValueError as error:
            raise ClientError(f"{self._path}:{number}: not a recorded call: {error}") from None

    async def complete(self, request: Request) -> Completion:
        for key in (_key(request.messages, request.sample_index), _key(request.messages)):
            if (found := self._index.find(key)) is not None:
                self._file.seek(found[0])
                recorded = RecordedCall.model_validate(json.loads(self._file.read(found[1])))
                if (text := recorded.answer(request.sample_index)) is not None:
                    return Completion(text=text, finish_reason=recorded.finish_reason)
        asked = f"sample {request.sample_index} of the request that ends with {request.messages[-1].content[:80]!r}"
        raise ClientError(f"{self._path}: {asked} is not recorded; {self._note(request)}")

    def _note(self, request: Request) -> str:
        """Add the line that is missing, but for its completion, to a file; what to do with it."""
        if self.missing is None:
            return "record it, or ask a model"
        messages = [message.model_dump() for message in request.messages]
        line = json.dumps({"messages": messages, "sample_index": request.sample_index, "completion": ""})
        self.missing.parent.mkdir(parents=True, exist_ok=True)
        with self.missing.open("a", encoding="ascii") as file:
            file.write(f"{line}\n")
        return f"its line is the last of {self.missing}: fill in the completion and add it to the recording"

    def close(self) -> None:
        self._index.close()
        self._file.close()


def _key(messages: tuple[Message, ...], index: int | None = None) -> str:
    plain = [message.model_dump() for message in messages]
    return fingerprint(plain if index is None else [plain, index])
