"""Where in its two programs a model was let go on, and how often what it wrote passed: does D⁻ hold the fault?"""

from typing import Literal

from pydantic import Field

from .base import Record

# D⁺ are the lines added in `chosen`, D⁻ those removed from `rejected`. The prefix that a model continues is
# before_added: chosen, up to the first line of D⁺; after_added: chosen, with the last line of D⁺;
# before_removed: rejected, up to the first line of D⁻; after_first_removed: with D⁻'s first run of lines;
# after_removed: with the last line of D⁻. Each ends with its line; what followed there is written anew.
Place = Literal["before_added", "after_added", "before_removed", "after_first_removed", "after_removed"]

DIAGNOSED = "diagnosis"  # name of the filter that asks for it


class Continued(Record):
    """Continuations from one place of a pair: how many were run, and how many passed the task's tests.

    `began_anew`: answers of a server that started over instead; they say nothing about the place and are not run.
    """

    place: Place
    run: int = Field(ge=0)
    passed: int = Field(ge=0)
    began_anew: int = Field(default=0, ge=0)

    @property
    def share(self) -> float | None:
        """The share that passed; None where none was run."""
        return self.passed / self.run if self.run else None


class PairDiagnosis(Record):
    """One model's continuations of one pair. A pair without D⁺ (its fix only removes lines) has no places there.

    `model` is the client's identity, `protocol` says in words how it was asked; `content_hash` is the pair's.
    """

    pair_id: str
    task_id: str
    content_hash: str
    model: str
    protocol: str
    places: tuple[Continued, ...]

    def share(self, place: Place) -> float | None:
        """The share that passed at a place; None where nothing is known of it."""
        return next((found.share for found in self.places if found.place == place), None)

    @property
    def fall(self) -> float | None:
        """How much less often programs pass with D⁻ in them than without: before D⁻ or after D⁺, whichever is more.

        Before D⁻ alone would not do: a model that makes this mistake every time passes from there as rarely as after
        it. None where one side is not known.
        """
        without = [s for s in (self.share("before_removed"), self.share("after_added")) if s is not None]
        within = self.share("after_removed")
        return max(without) - within if without and within is not None else None
