"""Base of all sections of the configuration. Each is defined beside what it configures, or in `config`."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Immutable, strict about keys, documented under each field.

    A field with `repr=False` may hold a secret that was pasted by mistake: no message shows what was given for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
