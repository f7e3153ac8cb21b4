"""Records of measured cells → figures of one model, and how they differ between arms, seed by seed.

A *contrast* is a sum of arms with signs, `sft - sft_low`, taken on each seed by itself: what all arms of a seed share,
its tasks and its pairs, cancels out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..records import Record, passes_of
from ..results import Results
from ..statistics import Estimate, estimate
from .measured import MEASURED
from .traits import KINDS

MOST = str(MEASURED["samples"])
KNOWABLE = "hmo"  # kinds of tasks whose wanted reading is the usual one (traits.py)
WHERE, MARGINS = ("seen", "unseen"), ("margin", "focal_margin")
PARTS = {"chosen": "the chosen side", "common": "lines that both sides share", "added": "D⁺",
         "removed": "D⁻", "rejected": "the rejected side"}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """`of`: (a model's record, that of its base) → the figure. Shares are shown in percent, nats and numbers as they
    are; what is `of_pairs` the base has none of."""

    says: str
    of: Callable[[Record, Record], float]
    is_share: bool = True
    of_pairs: bool = False


def _passed(record: Record, base: Record, kinds: str, solved: bool | None = None) -> list[bool]:
    """What passed of the tasks of these kinds, or of those of them that the base solved, or did not."""
    outcomes = zip(passes_of(record), passes_of(base), record["traits"]["kind"], strict=True)
    return [passed for passed, before, kind in outcomes if kind in kinds and solved in (None, before)]


def _share(record: Record, base: Record, kinds: str, solved: bool | None = None) -> float:
    return _mean(_passed(record, base, kinds, solved))


def _lost(record: Record, base: Record, kinds: str) -> float:
    return _mean([not passed for passed in _passed(record, base, kinds, solved=True)])


def _mean(found: list[bool]) -> float:
    return sum(found) / len(found) if found else 0.0


def _of_steps(record: Record, steps: str) -> float:
    return _mean([p for p, s in zip(passes_of(record), record["traits"]["steps"], strict=True) if s == steps])


def _change(where: str, part: str) -> Figure:
    """Of a part's log-likelihood; the common lines are the chosen side without D⁺."""

    def change(record: Record, base: Record) -> float:
        found = record[where]
        whole, added = found["chosen"]["change"], found["added"]["change"]
        return float(whole - added if part == "common" else found[part]["change"])

    return Figure(f"log-likelihood of {PARTS[part]}, {where}", change, is_share=False, of_pairs=True)


def _margin(where: str, margin: str) -> Figure:
    return Figure(f"{margin.replace('_', ' ')}, {where}", lambda record, _: float(record[where][margin]["mean"]),
                  is_share=False, of_pairs=True)  # fmt: skip


def _answers(says: str, *path: str, is_share: bool = True) -> Figure:
    def of(record: Record, base: Record) -> float:
        found = record["answers"]
        for key in path:
            found = found[key]
        return float(found)

    return Figure(says, of, is_share)


FIGURES: dict[str, Figure] = {
    "passed": Figure("pass@1", lambda record, _: float(record["passed"])),
    "drawn": _answers("pass@1 of draws", "pass_at_k", "1"),
    "most": _answers(f"pass@{MOST}", "pass_at_k", MOST),
    "gained": Figure(f"pass@{MOST} less pass@1",
                     lambda record, _: record["answers"]["pass_at_k"][MOST] - record["passed"]),
    "entropy": _answers("entropy", "entropy", is_share=False),
    "programs": _answers(f"different programs of {MOST}", "distinct", is_share=False),
    "right": _answers("right ones", "distinct_passing", is_share=False),
    "lost": Figure("lost", lambda record, base: _lost(record, base, KNOWABLE)),
    "lost_rare": Figure("lost, rare readings", lambda record, base: _lost(record, base, "r")),
    "won": Figure("won", lambda record, base: _share(record, base, KNOWABLE, False)),
    "open_less_mistake": Figure(
        "pass@1 where wording is open less that where a mistake is planted",
        lambda record, base: _share(record, base, "or") - _share(record, base, "m")),
    **{name: Figure(name, lambda record, base, kind=kind: _share(record, base, kind)) for kind, name in KINDS.items()},
    **{f"{n}_steps": Figure(f"{n} steps", lambda record, _, n=n: _of_steps(record, n)) for n in "234"},
    **{f"{where}_{part}": _change(where, part) for where in WHERE for part in PARTS},
    **{f"{where}_{margin}": _margin(where, margin) for where in WHERE for margin in MARGINS},
    "by_heart": Figure("log-likelihood of D⁺, seen less unseen",
                       lambda record, _: record["seen"]["added"]["change"] - record["unseen"]["added"]["change"],
                       is_share=False, of_pairs=True),
}  # fmt: skip


def terms_of(contrast: str) -> list[tuple[int, str]]:
    """`sft - dpo + rpo` → signs and arms; ValueError for anything else."""
    words = ["+", *contrast.split()]
    signs, arms = words[::2], words[1::2]
    if len(signs) != len(arms) or not {*signs} <= {"+", "-"} or {*arms} & {"+", "-"}:
        raise ValueError(f"expected a contrast such as sft - dpo, got {contrast!r}")
    return [(1 if sign == "+" else -1, arm) for sign, arm in zip(signs, arms, strict=True)]


@dataclass(frozen=True)
class Measured:
    """The figures of a grid's arms. `base`: the arm whose records say what was solved before."""

    results: Results
    base: str

    @cached_property
    def domains(self) -> list[str]:
        return list(self.results.plan.grid.domains)

    def records(self, domain: str, arm: str) -> Mapping[tuple[int, int], Record]:
        """(base, seed) → record of an arm, where there is one."""
        found = self.results.of_arm(domain, arm)
        return {(record["base"], record["what"]["seed"]): record for record in found}

    def of_seeds(self, domain: str, arm: str, figure: str) -> dict[tuple[int, int], float]:
        """(base, seed) → figure of an arm, where its record and the base's are there, and tell it."""
        before, after = self.records(domain, self.base), self.records(domain, arm)
        of_pairs = FIGURES[figure].of_pairs
        places = [place for place in before if place in after and ("seen" in after[place] or not of_pairs)]
        return {place: FIGURES[figure].of(after[place], before[place]) for place in places}

    def mean(self, domain: str, arm: str, figure: str) -> float | None:
        values = self.of_seeds(domain, arm, figure).values()
        return sum(values) / len(values) if values else None

    def contrast(self, domain: str, contrast: str, figure: str) -> Estimate | None:
        """The mean over seeds of a contrast; None unless each of its arms has every seed, and a base two of them."""
        terms, seeds = terms_of(contrast), self.results.plan.grid.seeds
        if any(arm not in self.results.plan.grid.arms for _, arm in terms) or seeds is None:
            return None
        columns = [(sign, self.of_seeds(domain, arm, figure)) for sign, arm in terms]
        if any(len(column) < seeds.count for _, column in columns):
            return None
        blocks: dict[int, list[float]] = {}
        for place in columns[0][1]:
            blocks.setdefault(place[0], []).append(sum(sign * column[place] for sign, column in columns))
        return estimate(blocks) if min(map(len, blocks.values())) > 1 else None
