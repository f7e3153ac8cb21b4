"""What every record is made of: the base class, texts, messages, paths, and hashes of any JSON value."""

import hashlib
import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict


class Record(BaseModel):
    """Base of all records: immutable, and strict about fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def well_formed(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which no file and no request can carry as UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


Text = Annotated[str, AfterValidator(well_formed)]


class Message(Record):
    """One turn of a conversation with a model: whose it is (`role`), and its text (`content`)."""

    role: Literal["system", "user", "assistant"]
    content: Text


Prompt = str | tuple[Message, ...]


def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """A plain prompt as one user turn; messages as they are."""
    return (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt


def stays_inside(path: str) -> bool:
    """Whether a path can name a file in a folder, and in no other one."""
    parts = PurePosixPath(path)
    named = path and "\0" not in path and path == well_formed(path)
    return bool(named) and not parts.is_absolute() and ".." not in parts.parts


def fingerprint(value: Any) -> str:
    """Stable short hash of any JSON value, the same in every process and on every platform."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def program_hash(program: str) -> str:
    """Identity of a program, whatever blank lines surround it."""
    return fingerprint(program.strip())
