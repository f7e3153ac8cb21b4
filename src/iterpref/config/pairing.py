"""How trajectories become pairs."""

from typing import Literal

from pydantic import Field

from iterpref.section import Section


class PairingConfig(Section):
    """Trajectories → focal preference pairs (arXiv:2503.02783, Algorithm 1)."""

    negatives: Literal["random", "first", "last", "each"] = "random"
    """Which failing versions become `rejected`: one at random (the paper's choice), the first, the last, or each."""
    empty_removed: Literal["drop", "full", "anchor", "error"] = "drop"
    """A fix that only inserts lines leaves nothing to penalise: drop the pair, penalise the whole program, penalise the
    place where the lines were skipped (`anchor`), or stop."""
    diff: Literal["lcs", "prefix_suffix"] = "lcs"
    """Which lines differ: those off the longest common subsequence, or all between common beginning and end."""
    failing_path: bool = False
    """Cut D⁻ down to the lines that ran in the failing call, by a trace in the sandbox (one run more per failing
    program); where none of them ran, or that can't be told, D⁻ stays whole."""
    max_removed_lines: int = Field(default=20, gt=0)
    """Pairs with more wrong lines than this are dropped (paper: 20)."""
    max_tokens: int = Field(default=2048, gt=0)
    """Pairs with a longer program on either side are dropped (paper: 2,048)."""
    cut: Literal["drop", "keep"] = "drop"
    """Pairs whose rejected program was cut at `max_tokens`: it is unfinished, not wrong (docs/data.md says when)."""
    other_languages: bool = False
    """Keep pairs whose code is in another language, too; the filters on comments and syntax trees see Python only."""
    tokenizer: str | None = None
    """`playground`, a folder or a hub id to count tokens with; default: estimated, three bytes a token."""
    source: Literal["debugging", "sampling"] = "debugging"
    """`sampling` pairs passing with failing draws of sampling runs (Code-Optimise's PvF, PLUM), to compare."""
    min_line_coverage: float | None = Field(default=None, ge=0, le=1)
    """Least share of the chosen program's lines that its tests reach; `iterpref validate` measures it."""
    min_branch_coverage: float | None = Field(default=None, ge=0, le=1)
    """The same for branches."""
    min_mutation_score: float | None = Field(default=None, ge=0, le=1)
    """Least share of programs with one small fault that the tests notice."""
    unmeasured: Literal["keep", "drop"] = "keep"
    """Pairs of which `iterpref validate` could not measure what they are held to, be it a threshold above or whether
    stubs pass: a program that starts processes has no coverage, one without an operator no mutant. `keep`: nothing
    speaks against them, and their verdict says what is missing. Pairs that were never validated fail a threshold."""
    min_judge_score: int | None = Field(default=None, ge=1, le=5)
    """Least of the judge's three scores for the tests; `iterpref judge --tests` asks for them."""
    require_judge: bool = False
    """Drop pairs that `iterpref judge` did not judge; those it calls cosmetic are dropped anyway."""
    diagnosed: float | None = Field(default=None, gt=0, le=1)
    """Keep only pairs whose D⁻ holds the fault: with D⁻ in it, this much less of what a model continues passes. Pairs
    without a diagnosis (`iterpref diagnose`) are dropped then."""
    reviewed: Literal["ignore", "not_rejected", "accepted"] = "ignore"
    """Marks given in `iterpref view`: `not_rejected` drops pairs marked reject, `accepted` keeps only those marked
    accept. A mark counts for the very pair that was looked at, and not if it is made anew with other text or lines."""
    near_duplicates: float | None = Field(default=None, gt=0, le=1)
    """Drop pairs at least this similar to an earlier one (Jaccard index of five tokens in a row); default: keep."""
    other_runs: tuple[str, ...] = ()
    """Run folders whose kept pairs count as earlier ones."""
    benchmarks: tuple[str, ...] = ()
    """JSONL files of benchmarks; pairs close to one of their tasks are dropped, and listed in the card."""
    prompt_format: Literal["messages", "text"] = "messages"
    """`messages` puts the prompt through the model's chat template in training; `text` is for base models."""
