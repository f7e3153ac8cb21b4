"""How verbs show their help and speak of mistakes in a command line: typer's, with whole sentences and advice."""

import textwrap
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from iterpref.run_folder import DATABASE

# The verb that runs, and what its command line says; for its first line.
CURRENT: ContextVar[tuple[str, dict[str, Any]]] = ContextVar("CURRENT", default=("iterpref", {}))


class Verb(TyperCommand):
    """A command of iterpref."""

    def invoke(self, ctx: Any) -> Any:
        CURRENT.set((self.name or "", ctx.params))
        return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # By name: typer brings these classes along or takes them from click, as its version is.
            if type(error).__name__ == "NoSuchOption":
                error.message += _as_setting(self.name or "", error.option_name)  # type: ignore[attr-defined]
            elif type(error).__name__ == "MissingParameter" and getattr(error.param, "name", "") == "run":  # type: ignore[attr-defined]
                error.message = _a_run_here()  # type: ignore[attr-defined]
            raise

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The help, wrapped; a line of an example stays a line."""
        with formatter.indentation():
            for paragraph in _paragraphs(self.help or ""):
                formatter.write_paragraph()
                with formatter.indentation():
                    for part in paragraph:
                        formatter.write_text(part)


class Verbs(TyperGroup):
    """iterpref itself: its verbs with their whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, _paragraphs(self.commands[name].help or "")[0][0]) for name in self.list_commands(ctx)]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


def _paragraphs(text: str) -> list[list[str]]:
    """Paragraphs, each as its wrapped prose and its examples, a line each."""
    found = []
    for paragraph in text.split("\n\n"):
        prose: list[str] = []
        examples: list[str] = []
        for line in textwrap.dedent(paragraph).strip().splitlines():
            before, marked, example = line.strip().partition("Example: ")
            prose += [before] if before and not examples else []
            examples += [f"{marked}{example}"] if marked else [before] if examples else []
        found.append([*([" ".join(prose)] if prose else []), *examples])
    return found


def _as_setting(verb: str, option: str) -> str:
    """What is no option may be a setting that the verb reads."""
    from iterpref.config import Config
    from iterpref.config.stages import READS
    from iterpref.training import known_keys

    name, read = option.lstrip("-").replace("-", "_"), READS.get(verb)
    keys = [key for key in _keys(Config, "") if read is None or key.split(".")[0] in read]
    if read is None or "training" in read:
        keys += [f"training.{key}" for key in sorted(known_keys())]
    found = [key for key in keys if key.split(".")[-1] == name][:3]
    return f" It is a setting: {' or '.join(f'--set {key}=VALUE' for key in found)}." if found else ""


def _keys(section: Any, prefix: str) -> Iterator[str]:
    from iterpref.config.keys import sections

    for name, field in section.model_fields.items():
        inner = sections(field.annotation)
        yield from (
            [f"{prefix}{name}"] if not inner else (key for kind in inner for key in _keys(kind, f"{prefix}{name}."))
        )


def _a_run_here() -> str:
    there = sorted(path.parent for pattern in ("*", "runs/*") for path in Path().glob(f"{pattern}/{DATABASE}"))
    if not there:
        return "It names a run folder, for example --run runs/mine."
    return f"Runs here: {', '.join(map(str, there[:5]))}."
