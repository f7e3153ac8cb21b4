"""How tasks are drafted."""

from typing import Literal

from pydantic import Field, field_validator

from iterpref.section import Section

from .sampling import SamplingConfig


class SynthesisSamplingConfig(SamplingConfig):
    """The same, with room for a task, a solution and tests."""

    max_tokens: int = Field(default=4096, gt=0, description="New tokens per completion.")


class SynthesisConfig(Section):
    """Seeds → tasks, drafted by a model."""

    tasks: int = Field(default=100, gt=0)
    """Drafts to ask for."""
    tree: str | None = None
    """Feature tree: a JSON file, or a folder with EpiCoder's two files; default: the small one of this package."""
    snippets: str | None = None
    """Folder of Python files whose features are extracted into the tree."""
    instructions: str | None = None
    """JSONL, Parquet, a folder or a hub dataset of tasks without tests (`importing.columns.prompt`): the model writes
    solution and tests for the first `tasks` of them, instead of tasks from features."""
    inspire: bool = False
    """Show the snippets themselves to the model that drafts, instead of features (OSS-Instruct)."""
    evolve_rounds: int = Field(default=0, ge=0)
    """How often random parts of the tree are deepened and widened by the model."""
    evolve_parts: int = Field(default=8, gt=0)
    """Parts per round."""
    shape: tuple[int, ...] = (5, 2, 1, 1)
    """Features drawn per level of the tree for one task (EpiCoder)."""
    temperature: float = Field(default=10.0, gt=0)
    """Of the draw of features: 1 follows their frequencies, 100 is nearly uniform (EpiCoder: 10). Nothing where a tree
    has no counts, as the package's own: `snippets` counts features of your code into it."""
    mandatory: tuple[str, ...] = ("computation operation",)
    """Top features that are always drawn."""
    counted_pairs: int = Field(default=1000, gt=0)
    """Kept pairs, drawn at random, whose features `iterpref judge --features` counts (paper, Table 17: per 1,000)."""
    mandatory_leaves: int = Field(default=2, ge=0)
    """Drawn features that the task must use."""
    tests: Literal["unittest", "asserts"] = "unittest"
    """What tests the model is asked to write: unittest files (the paper's), or plain assert statements."""
    packages: tuple[str, ...] = ()
    """Packages that drafts may import beside the standard library, as they are imported (numpy, sklearn); the sandbox's
    Python must have them. Drafts that import another one are dropped."""
    license: str = ""
    """Licence of the tasks made; the terms of the model that writes them decide."""
    sampling: SynthesisSamplingConfig = SynthesisSamplingConfig()

    @field_validator("packages")
    @classmethod
    def _as_imported(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name.isidentifier():
                raise ValueError(f"{name!r} can't be imported; expected names as in import statements, such as sklearn")
        return names
