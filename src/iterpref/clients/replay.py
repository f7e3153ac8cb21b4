"""A client that answers with recorded completions: tutorials and tests without a model, and reruns of bought calls.

The recording is JSONL, one object a line: `{"messages": [...], "completions": ["...", "..."]}`. A request is matched by
its messages, and its `sample_index` picks the completion. Nothing is invented: an unrecorded request is an error.
"""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from iterpref.clients.base import Completion, Request
from iterpref.errors import ClientError
from iterpref.records import Message, Record, fingerprint


class Recorded(Record):
    """One line of a recording."""

    messages: tuple[Message, ...]
    completions: tuple[str, ...]


class ReplayClient:
    """Answer from a recording; see the module's docstring for its format."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._completions: dict[str, tuple[str, ...]] = {}
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise ClientError(f"{path}: can't read this recording ({error.strerror}); check client.model") from None
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                self._add(number, line)
        self.name = f"replay:{fingerprint(text)}"

    def _add(self, number: int, line: str) -> None:
        try:
            recorded = TypeAdapter(Recorded).validate_python(json.loads(line))
        except (ValidationError, ValueError) as error:
            raise ClientError(f"{self._path}:{number}: not a recorded call: {error}") from None
        self._completions[_key(recorded.messages)] = recorded.completions

    async def complete(self, request: Request) -> Completion:
        completions = self._completions.get(_key(request.messages), ())
        if request.sample_index >= len(completions):
            asked = request.messages[-1].content[:80]
            raise ClientError(
                f"{self._path}: sample {request.sample_index} of the request that ends with {asked!r} is not recorded "
                f"({len(completions)} completions are); record it, or ask a model"
            )
        return Completion(text=completions[request.sample_index])

    def close(self) -> None:
        self._completions.clear()


def _key(messages: tuple[Message, ...]) -> str:
    return fingerprint([message.model_dump() for message in messages])
