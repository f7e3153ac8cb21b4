"""How a model is asked, in every stage that asks one."""

from pydantic import Field

from iterpref.section import Section


class SamplingConfig(Section):
    """How a model is asked for one completion."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy decoding."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus: the smallest set of tokens whose probability reaches this share."""
    max_tokens: int = Field(default=1024, gt=0)
    """New tokens per completion."""
