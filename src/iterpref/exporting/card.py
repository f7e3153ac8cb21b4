"""What is known of a dataset → its card, in the hub's form: YAML for machines, then a page for people."""

from pathlib import Path, PurePath
from typing import Any

from iterpref.prompts import render

# Identifiers that the hub knows; any other licence is `other` there and named in the text.
_HUB_LICENSES = set(
    ["mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"]
)


def dataset_card(facts: Any, settings: dict[str, Any], data_file: str, focal: str) -> str:
    """The card of one dataset.

    Args:
        facts: What `analysis.card_facts` gathers of the run.
        settings: What the pairs were made with.
        data_file: Name of the file beside the card.
        focal: A sentence on what becomes of the spans.
    """
    known = {"license": hub_license(facts.licenses), "size": _size(facts.pairs), "settings": _public(settings)}
    return render("dataset_card", facts=facts, data_file=data_file, focal=focal, **known)


def hub_license(licenses: dict[str, int]) -> str:
    """The hub's identifier where all pairs have one licence that it knows; else `other`."""
    names = {name.lower() for name in licenses}
    return names.pop() if len(names) == 1 and names <= _HUB_LICENSES else "other"


def _public(settings: dict[str, Any]) -> dict[str, Any]:
    """Paths by their last part: a card may be published, and folders of this machine tell readers nothing."""
    named = {key: [PurePath(path).name for path in settings.get(key) or ()] for key in ("benchmarks", "other_runs")}
    tokenizer = settings.get("tokenizer")
    if tokenizer and Path(tokenizer).exists():
        tokenizer = PurePath(tokenizer).name
    return settings | named | {"tokenizer": tokenizer}


def _size(pairs: int) -> str:
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for bound, name in bounds if pairs < bound), "1M<n<10M")
