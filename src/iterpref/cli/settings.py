"""The command on a run's own settings: config."""

from typing import Annotated

from typer import Argument

from iterpref.errors import ConfigError
from iterpref.run_folder import RunFolder

from .app import AsJson, ConfigFile, RunOption, verb
from .opening import Repeatable, check_training, must_exist, resolve
from .output import finish


@verb("config")
def config_(
    run: RunOption,
    words: Annotated[
        Repeatable, Argument(metavar="[set KEY=VALUE ...]", help="Nothing, to show; or `set` and stage.key=value ...")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings that a run keeps, and which differ from the defaults; or store others with `set`.

    The only command that changes the settings of a run that is there: --set and -c of all others hold once.
    With -c FILE those of the file take the place of the run's own.
    Reads config.yaml. Writes it with `set`, if every key and value can be used.
    Example: iterpref config --run runs/a set client.model=path/to/model debugging.max_iterations=3
    """
    from iterpref.config.load import dump_config
    from iterpref.config.stages import annotated, differences
    from iterpref.files import write_text

    must_exist(run)
    asked, *changes = words or ["show"]
    if asked not in ("show", "set") or (asked == "show" and changes):
        raise ConfigError(
            f"config {' '.join(words or [])}: expected nothing, to show the settings, or set KEY=VALUE ..."
        )
    if asked == "set" and not changes and config is None:
        raise ConfigError("config set: expected KEY=VALUE ..., or -c FILE")
    resolved = resolve(run, config, changes)
    if asked == "set":
        check_training(resolved)
        write_text(RunFolder(run).config, dump_config(resolved))
    if as_json:
        changed = {key: value for key, value, _ in differences(resolved)}
        finish({"config": resolved.model_dump(mode="json"), "changed": changed}, as_json)
    else:
        print(annotated(resolved, only_changed=asked == "set"), end="")
