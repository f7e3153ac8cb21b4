"""Messages → completions: the protocol that every source of completions speaks, and what each says of itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

from iterpref.records import Message, Record, Text
from iterpref.section import Section


class Sampling(Record):
    """How one completion is drawn; it ends before the first of the `stop` texts. `temperature` 0 is greedy."""

    temperature: float = 0.8
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int = 0
    stop: tuple[str, ...] = ()


class Request(Record):
    """One completion wanted. `sample_index` tells repeated draws of the same messages apart.

    A last message of the assistant is a turn already begun, which the completion continues. `raw`: the one message's
    text goes to the model as it is, without a chat template. `healed`: the begun turn may end where no token would; a
    model in this process then draws its last tokens anew (`local/spelling.py`), others take it as it is.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    sample_index: int = 0
    raw: bool = False
    healed: bool = False

    @classmethod
    def from_user(cls, text: str, sampling: Sampling) -> Self:
        return cls(messages=(Message(role="user", content=text),), sampling=sampling)


class Completion(Record):
    """What came back. `stop`: the model ended it; `length`: it was cut at `max_tokens`.

    `reasoning` is what a reasoning model thought before `text`; it is kept, and never read as part of the answer.
    """

    text: Text
    reasoning: Text = ""
    finish_reason: Literal["stop", "length"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cut(self, stops: Sequence[str]) -> Self:
        """This up to the first of the stop texts."""
        places = [place for place in map(self.text.find, stops) if place >= 0]
        if not places:
            return self
        return self.model_copy(update={"text": self.text[: min(places)], "finish_reason": "stop"})


class Client(Protocol):
    """A model that answers. Many calls may be in flight at once; the client batches or limits them as it needs.

    One that takes long and could tell how far it is has `activity`, too (`activity.Busy`).
    """

    @property
    def name(self) -> str:
        """Identity in the ledger: equal names mean the same weights or the same endpoint and model."""

    async def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises:
            EndpointError: No request can be answered; the stage should stop.
            RefusedError: This request will never be answered; others may.
            ClientError: This request was not answered; where that goes on, the endpoint is at fault.
        """

    def close(self) -> None:
        """Free what the client holds."""


@dataclass(frozen=True)
class Price:
    """US dollars per token of one model."""

    prompt: float
    completion: float

    @property
    def known(self) -> bool:
        """Whether any price is set; calls may cost something nevertheless."""
        return bool(self.prompt or self.completion)

    def most(self, request: Request) -> float:
        """An upper bound before the call: a token is at least one byte; a template adds at most 16 to a message."""
        tokens = sum(len(message.content.encode()) + 16 for message in request.messages)
        return tokens * self.prompt + request.sampling.max_tokens * self.completion

    def paid(self, completion: Completion) -> float:
        return completion.prompt_tokens * self.prompt + completion.completion_tokens * self.completion


class ClientConfig(Section, ABC):
    """The settings of one kind of client; what is heavy is imported in `open`."""

    kind: str
    model: str = "playground"
    """What answers."""

    def describe(self) -> str:
        """What answers, for people; no address or folder that may hold a secret."""
        return f"{self.model} ({self.kind})"

    @property
    def known_as(self) -> str:
        """What its client's name begins with, as far as that is known before it is opened; an estimate knows by it what
        this client has done already."""
        return self.kind

    @property
    @abstractmethod
    def at_a_time(self) -> int | None:
        """Requests to ask together, so that the client is never idle; None: all there are, as one wave."""

    @abstractmethod
    def price(self) -> Price | None:
        """What calls cost; None says that they cost nothing, and no budget counts them."""

    def weights(self) -> str | None:
        """What tells weights apart that the client's name does not; "" where nothing does, None where that can't be
        asked now."""
        return ""

    def manner(self, request: Request) -> str:
        """What else of these settings changes the answer to this request, in words; "" at their defaults."""
        return ""

    @abstractmethod
    def open(self, folder: Path) -> AbstractContextManager[Client]:
        """The client, while the context lasts, or a ClientError; logs and notes go into `folder`, the run's."""
