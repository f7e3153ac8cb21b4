"""The command that hands records to others: export."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from iterpref.errors import IterPrefError

from .app import AsJson, RunOption, verb
from .opening import open_run
from .output import finish
from .verb import Verb


class _Export(Verb):
    """A command whose help names the formats there are; their table is imported for this command only."""

    def get_params(self, ctx: Any) -> list[Any]:
        from iterpref.exporting import FORMATS

        parameters: list[Any] = super().get_params(ctx)
        [option] = [parameter for parameter in parameters if parameter.name == "format_"]
        pairs = " or ".join(", ".join(FORMATS).rsplit(", ", 1))
        option.help = f"trajectories, calls (a recording for client.kind=replay), or pairs as {pairs}."
        return parameters


@verb("export", cls=_Export)
def export_(
    run: RunOption,
    output: Annotated[Path, Argument(help="Folder to write; for trajectories and calls a JSONL file.")],
    format_: Annotated[str, Option("--format")] = "trajectories",
    push: Annotated[str | None, Option(help="Also upload the pairs to this hub dataset, owner/name.")] = None,
    public: Annotated[bool, Option(help="Make a new dataset of the hub visible to everybody.")] = False,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files there that no export wrote.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the kept pairs for another trainer, with a dataset card; or the trajectories, for `iterpref import`.

    Reads the run's records. Writes train.jsonl and README.md into a folder; for trajectories one file with their tasks.
    Only files of an earlier export are replaced.
    Example: iterpref export pairs-swift --run runs/a --format ms_swift
    """
    with open_run(run, None, None, write=False) as opened:
        from iterpref import pipeline
        from iterpref.exporting import export_calls, export_trajectories

        if push and format_ in ("calls", "trajectories"):
            raise IterPrefError("--push uploads pairs; name their format, as --format trl_conversational")
        summary: dict[str, Any] = {"file": str(output)}
        if format_ == "calls":
            summary = {"calls": export_calls(opened.store, output, overwrite=overwrite)} | summary
        elif format_ == "trajectories":
            written = export_trajectories(opened.store, output, overwrite=overwrite)
            left = {"unfinished": unfinished} if (unfinished := opened.store.count_unfinished()) else {}
            summary = {"trajectories": written} | left | summary
        else:
            made = pipeline.export(opened, output, format_, push, private=not public, overwrite=overwrite)
            summary = asdict(made)
    finish(summary, as_json)
