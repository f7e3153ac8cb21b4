"""One trajectory at hand → its focal pairs, without a run: what `iterpref pair` does with each trajectory of one."""

from typing import Literal

from iterpref.config.load import parse_config
from iterpref.pairing.filters import Filters
from iterpref.pairing.pair import is_cut, pairs_of
from iterpref.records import PreferencePair, Task, Trajectory


def focal_pairs(
    task: Task,
    trajectory: Trajectory,
    *,
    negatives: Literal["random", "first", "last", "each"] = "random",
    empty_removed: Literal["drop", "full", "anchor", "error"] = "drop",
    max_removed_lines: int = 20,
    max_tokens: int = 2048,
    prompt_format: Literal["messages", "text"] = "messages",
    seed: int = 0,
) -> list[PreferencePair]:
    """The pairs of one trajectory: its first passing program against failing ones before it, with D⁻ and D⁺.

    Algorithm 1 of arXiv:2503.02783 and the filters of its data section; rejected programs that were cut at `max_tokens`
    (`Attempt.cut`) are dropped, too. What looks at a whole run (tests' quality, judgements, near duplicates,
    benchmarks) is left to `iterpref.pipeline.pair`.

    Args:
        task: Its prompt becomes the pairs'.
        trajectory: Attempts at it, as `debug_with` or a run gives them; of sampling each passing draw is chosen once.
        negatives: Which failing versions become `rejected`: one at random (the paper's choice), the first, the last, or
            each.
        empty_removed: What becomes of a fix that only inserts lines: dropped, the whole rejected program penalised, the
            place where the lines are missing (`anchor`), or an error.
        max_removed_lines: Pairs with more lines in D⁻ are dropped (paper: 20).
        max_tokens: Pairs with a longer program are dropped (paper: 2,048); estimated, three bytes a token.
        prompt_format: `messages` for chat models, `text` for base models.
        seed: Of the random negative, together with the trajectory's id.

    Returns:
        Pairs, dropped ones included: `kept` says whether every filter keeps it, `filters` what each said; [] where no
        attempt passes, or none fails before. `focal_dataset` takes them and leaves out what is dropped.

    Raises:
        ConfigError: A value can't be used; or `text` of a prompt that is a conversation.
        RecordError: `empty_removed` is `error`, and a fix only inserts lines.
    """
    given = {
        "negatives": negatives,
        "empty_removed": empty_removed,
        "max_removed_lines": max_removed_lines,
        "max_tokens": max_tokens,
        "prompt_format": prompt_format,
    }
    settings = parse_config({"pairing": given}, "focal_pairs").pairing
    filters = Filters(settings)
    made = pairs_of(task, trajectory, settings, seed)
    return [filters.check(pair, task.entry_point, is_cut(pair, trajectory)) for pair in made]
