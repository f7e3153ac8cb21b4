"""Messages → completions: the protocol that every source of completions speaks."""

from typing import Literal, Protocol, Self

from iterpref.records import Message, Record


class Sampling(Record):
    """How one completion is drawn. `temperature` 0 is greedy; then `seed` changes nothing.

    The completion ends before the first of the `stop` texts.
    """

    temperature: float = 0.8
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int = 0
    stop: tuple[str, ...] = ()


class Request(Record):
    """One completion wanted. `sample_index` tells repeated draws of the same messages apart.

    A last message of the assistant is a turn already begun, which the completion continues. `raw`: the one message's
    text goes to the model as it is, without a chat template.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    sample_index: int = 0
    raw: bool = False

    @classmethod
    def from_user(cls, text: str, sampling: Sampling) -> Self:
        """A request with one turn of the user's."""
        return cls(messages=(Message(role="user", content=text),), sampling=sampling)


class Completion(Record):
    """What came back. `stop`: the model ended it; `length`: it was cut at `max_tokens`.

    `reasoning` is what a reasoning model thought before `text`; it is kept, and never read as part of the answer.
    """

    text: str
    reasoning: str = ""
    finish_reason: Literal["stop", "length"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Client(Protocol):
    """A model that answers. Many calls may be in flight at once; the client batches or limits them as it needs."""

    @property
    def name(self) -> str:
        """Identity in the ledger: equal names mean the same weights or the same endpoint and model."""
        ...

    async def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises:
            EndpointError: No request can be answered; the stage should stop.
            ClientError: This request can't be answered; others may.
        """
        ...

    def close(self) -> None:
        """Free what the client holds."""
        ...
