"""The model's own pairs: those of its debugging; where these are too few, of passing × failing draws, told apart.

No model is asked, but for draws after one that passed, where even all pairs are too few.
"""

from collections.abc import Sequence

from iterpref import pipeline
from iterpref.files import write_text
from iterpref.pairing import write_dataset
from iterpref.records import PreferencePair, Span, as_messages, fingerprint
from iterpref.run_folder import RunFolder

from .debugging import RUN, SAMPLING, debug_config, kept_pairs
from .lab import Lab
from .records import Record

TRAINING = "training"  # the run folder of all trainings, which holds their pairs
READ = 20  # pairs that a person reads: is D⁻ the fault?


def own_pairs(lab: Lab) -> Record:
    """Choose at most `scale.pairs` pairs, and write them for the trainings."""
    wanted = lab.experiment.scale.pairs
    funnels: Record = {}
    drawn, funnels["sampling"] = kept_pairs(lab, SAMPLING, "sampling")
    own, funnels["debugging"] = kept_pairs(lab, RUN, "debugging")
    if len(own) + len(drawn) < lab.experiment.scale.least_pairs:
        config = debug_config(lab, "debugging.mode=sampling", "debugging.draws=all")
        with lab.opened(SAMPLING, config) as run:
            pipeline.debug(run)
        drawn, funnels["all draws"] = kept_pairs(lab, SAMPLING, "sampling")
    chosen = choose_pairs(own, drawn, wanted)
    write_dataset(RunFolder(lab.folder(TRAINING)).pairs, chosen)
    write_text(lab.folder("pairs-to-read.md"), "\n".join(map(shown, chosen[:READ])))
    return {"funnels": funnels, "chosen": [[pair.pair_id, pair.origin] for pair in chosen]}


def choose_pairs(own: list[PreferencePair], drawn: list[PreferencePair], wanted: int) -> list[PreferencePair]:
    """Own repairs first, in an order drawn by their ids; then draws, but for those of a text that is there."""
    texts = {pair.content_hash for pair in own}
    new = [pair for pair in drawn if pair.content_hash not in texts]
    ordered = [sorted(pairs, key=lambda pair: fingerprint(pair.pair_id)) for pairs in (own, new)]
    return [pair for pairs in ordered for pair in pairs][:wanted]


def shown(pair: PreferencePair) -> str:
    """A pair for people: the prompt, and both programs with D⁻ and D⁺ marked."""
    prompt = "\n".join(message.content for message in as_messages(pair.prompt))
    sides = (_marked(pair.rejected, pair.rejected_spans, "-"), _marked(pair.chosen, pair.chosen_spans, "+"))
    return f"## {pair.pair_id} ({pair.error_type})\n\n{prompt}\n\n~~~diff\n{sides[0]}\n~~~\n~~~diff\n{sides[1]}\n~~~\n"


def _marked(text: str, spans: Sequence[Span], mark: str) -> str:
    """The lines of a completion, those that a span begins in with the mark before them."""
    lines, place = [], 0
    for line in text.split("\n"):
        inside = any(place <= span.start <= place + len(line) for span in spans)
        lines.append(f"{mark if inside else ' '} {line}")
        place += len(line) + 1
    return "\n".join(lines)
