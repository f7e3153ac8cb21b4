"""One YAML file, one section per stage → one frozen `Config`. Unknown keys fail and name the nearest known one.

    config = load_config("recipes/demo.yaml", ["debugging.max_iterations=3"])

The resolved configuration is written into the run folder. Secrets have no place here: they come from the environment.
`training` is handed whole to TRL's configuration (`training/config.py`), which knows its own keys.
"""

import copy
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from iterpref.errors import ConfigError
from iterpref.records import Isolation, Limits

# A key pasted here by mistake must not reach a log.
MAY_HOLD_SECRETS = {"api_key_env", "base_url"}


class Section(BaseModel):
    """Base of all sections: immutable, strict about keys, documented under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SamplingConfig(Section):
    """How a model is asked for one completion."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy decoding."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus: the smallest set of tokens whose probability reaches this share."""
    max_tokens: int = Field(default=1024, gt=0)
    """New tokens per completion."""


class EvaluationSamplingConfig(SamplingConfig):
    """The same, greedy unless said otherwise."""

    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy decoding."""


class ClientConfig(Section):
    """Where completions come from."""

    kind: Literal["local", "openai", "replay"] = "local"
    """`local`: a transformers model in this process. `openai`: any OpenAI-compatible server. `replay`: a recording."""
    model: str = "playground"
    """`playground`, a model folder, or a hub id; for `openai` the server's name of it; for `replay` a JSONL file."""
    batch_size: int = Field(default=64, gt=0)
    """Requests decoded together by a local model."""
    device: str = "auto"
    """`auto` takes CUDA when there is one; else any torch device name."""
    base_url: str | tuple[str, ...] = "https://api.openai.com/v1"
    """Address of the `openai` server, up to `/v1`; several addresses of the same model share the load."""
    api_key_env: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    """Name of the environment variable that holds the key; servers of one's own need none."""
    concurrency: int = Field(default=64, gt=0)
    """Most requests in flight per address; how many below that is found while running."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Most seconds from sending a request to the last byte of its answer."""
    max_attempts: int = Field(default=8, gt=0)
    """Attempts at one call before it is given up; waiting out a 429 is none."""
    give_up_s: float = Field(default=900.0, gt=0)
    """Most seconds spent on one call, all attempts and waits together."""
    extra_body: dict[str, Any] = {}
    """Further keys of the request, such as `chat_template_kwargs` or `reasoning_effort`; part of the ledger key."""
    omit: tuple[str, ...] = ()
    """Parameters not to send, such as `temperature`; those that the server refuses are left out anyway."""
    identity: str | None = None
    """Name in the ledger; default: model and address. Give one when a model's address changes."""
    batch: bool = False
    """Ask through the server's Batch API: cheaper, within hours. Set debugging.concurrency to the size of a wave."""
    batch_poll_s: float = Field(default=60.0, gt=0)
    """Seconds between two looks at a batch."""
    serve: Literal["vllm"] | None = None
    """Start `vllm serve` for `model` (a folder or hub id) and stop it afterwards; `base_url` is not used then."""
    serve_args: tuple[str, ...] = ()
    """Further arguments of `vllm serve`, such as `--tensor-parallel-size=4`."""
    serve_start_s: float = Field(default=900.0, gt=0)
    """Most seconds until it must be ready."""
    lora: str | None = None
    """Folder of a LoRA that `vllm serve` puts on top of `model`."""
    prompt_usd_per_million: float = Field(default=0.0, ge=0)
    """Price of a million prompt tokens."""
    completion_usd_per_million: float = Field(default=0.0, ge=0)
    """Price of a million completion tokens."""

    @field_validator("base_url")
    @classmethod
    def _without_secrets(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        urls = (value,) if isinstance(value, str) else value
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError("expected one or more addresses that start with http:// or https://")
            if "@" in url or "?" in url:
                raise ValueError("an address holds no user, password or query; keys come from the environment")
        if not urls:
            raise ValueError("expected at least one address")
        return value


class BudgetConfig(Section):
    """What calls to endpoints may cost, over the whole life of the run folder."""

    max_calls: int | None = Field(default=None, ge=0)
    """Answered calls; default: unbounded."""
    max_budget_usd: float | None = Field(default=None, ge=0)
    """US dollars by the prices of the clients; never exceeded, also by calls in flight."""


class SandboxConfig(Section):
    """How programs are run."""

    workers: int | None = Field(default=None, gt=0)
    """Parallel executions; default: one per core this process may use."""
    isolation: Isolation | Literal["auto"] = "auto"
    """Which rung to use; `auto` takes the highest that this machine permits."""
    min_isolation: Isolation | None = None
    """Refuse to run anything below this rung; default: `landlock`, or the rung that `isolation` names."""
    preload: tuple[str, ...] = ()
    """Modules imported once before programs start, so that each program finds them ready."""


class DebuggingConfig(Section):
    """Attempt → execute → feedback → attempt."""

    mode: Literal["debugging", "sampling"] = "debugging"
    """`sampling` draws independent programs instead of repairs, for comparison at equal calls."""
    max_iterations: int = Field(default=5, ge=0)
    """Repairs after the first attempt (paper: at most five); in sampling mode, further draws."""
    sampling: SamplingConfig = SamplingConfig()
    """How programs are sampled."""
    concurrency: int = Field(default=256, gt=0)
    """Tasks in flight at once."""
    split: str | None = None
    """Only tasks of this split; default: all tasks of the run."""


class SynthesisSamplingConfig(SamplingConfig):
    """The same, with room for a task, a solution and tests."""

    max_tokens: int = Field(default=4096, gt=0)
    """New tokens per completion."""


class SynthesisConfig(Section):
    """Seeds → tasks, drafted by a model."""

    tasks: int = Field(default=100, gt=0)
    """Drafts to ask for."""
    tree: str | None = None
    """Feature tree: a JSON file, or a folder with EpiCoder's two files; default: the small one of this package."""
    snippets: str | None = None
    """Folder of Python files whose features are extracted into the tree."""
    inspire: bool = False
    """Show the snippets themselves to the model that drafts, instead of features (OSS-Instruct)."""
    evolve_rounds: int = Field(default=0, ge=0)
    """How often random parts of the tree are deepened and widened by the model."""
    evolve_parts: int = Field(default=8, gt=0)
    """Parts per round."""
    shape: tuple[int, ...] = (5, 2, 1, 1)
    """Features drawn per level of the tree for one task (EpiCoder)."""
    temperature: float = Field(default=10.0, gt=0)
    """Of the draw of features: 1 follows their frequencies, 100 is nearly uniform (EpiCoder: 10)."""
    mandatory: tuple[str, ...] = ("computation operation",)
    """Top features that are always drawn."""
    mandatory_leaves: int = Field(default=2, ge=0)
    """Drawn features that the task must use."""
    license: str = ""
    """Licence of the tasks made; the terms of the model that writes them decide."""
    sampling: SynthesisSamplingConfig = SynthesisSamplingConfig()
    """How drafts are sampled."""


class ValidationConfig(Section):
    """How far tests can be trusted (`iterpref validate`); what counts is decided in `pairing`."""

    repeats: int = Field(default=3, ge=1)
    """Runs of the passing program, each with another hash seed and order of tests."""
    mutants: int = Field(default=30, ge=0)
    """Most programs with one small fault, drawn at random."""


class PairingConfig(Section):
    """Trajectories → focal preference pairs (arXiv:2503.02783, Algorithm 1)."""

    negatives: Literal["random", "first", "last", "each"] = "random"
    """Which failing versions become `rejected`: one at random (the paper's choice), the first, the last, or each."""
    empty_removed: Literal["drop", "full", "error"] = "drop"
    """A fix that only inserts lines leaves nothing to penalise: drop the pair, penalise the whole program, or stop."""
    diff: Literal["lcs", "prefix_suffix"] = "lcs"
    """Which lines differ: those off the longest common subsequence, or all between common beginning and end."""
    max_removed_lines: int = Field(default=20, gt=0)
    """Pairs with more wrong lines than this are dropped (paper: 20)."""
    max_tokens: int = Field(default=2048, gt=0)
    """Pairs with a longer program on either side are dropped (paper: 2,048)."""
    tokenizer: str | None = None
    """`playground`, a folder or a hub id to count tokens with; default: estimated, three bytes a token."""
    source: Literal["debugging", "sampling"] = "debugging"
    """`sampling` pairs the passing with the failing draws of sampling runs (Code-Optimise's PvF, PLUM), to compare."""
    min_line_coverage: float | None = Field(default=None, ge=0, le=1)
    """Least share of the chosen program's lines that its tests reach; `iterpref validate` measures it."""
    min_branch_coverage: float | None = Field(default=None, ge=0, le=1)
    """The same for branches."""
    min_mutation_score: float | None = Field(default=None, ge=0, le=1)
    """Least share of programs with one small fault that the tests notice."""
    min_judge_score: int | None = Field(default=None, ge=1, le=5)
    """Least of the judge's three scores for the tests; `iterpref judge --tests` asks for them."""
    require_judge: bool = False
    """Drop pairs that `iterpref judge` did not judge; those it calls cosmetic are dropped anyway."""
    near_duplicates: float | None = Field(default=None, gt=0, le=1)
    """Drop pairs at least this similar to an earlier one (Jaccard index of five tokens in a row); default: keep."""
    other_runs: tuple[str, ...] = ()
    """Run folders whose kept pairs count as earlier ones."""
    benchmarks: tuple[str, ...] = ()
    """JSONL files of benchmarks; pairs close to one of their tasks are dropped, and listed in the card."""
    prompt_format: Literal["messages", "text"] = "messages"
    """`messages` puts the prompt through the model's chat template in training; `text` is for base models."""


class EvaluationConfig(Section):
    """Benchmark → completions → Result."""

    benchmark: str = "playground"
    """`playground`, a published benchmark such as `humaneval+` or `mbpp+`, or a JSONL file of tasks in this package's
    schema."""
    path: str | None = None
    """Local file of a published benchmark; default: its environment variable, else its release is downloaded."""
    protocol: Literal["auto", "plain", "chat", "base"] = "auto"
    """How tasks are put to the model: as the benchmark's publishers do (`auto`), the bare prompt as a user's turn,
    an instruction with a prefilled answer, or continuing the prompt without a chat template."""
    split: str | None = None
    """Only tasks of this split; null for all, in the playground for `held_out`."""
    since: str | None = Field(default=None, pattern=r"^\d{4}-\d\d-\d\d$")
    """LiveCodeBench: only contests from this date on, as 2024-08-01."""
    until: str | None = Field(default=None, pattern=r"^\d{4}-\d\d-\d\d$")
    """LiveCodeBench: only contests up to this date."""
    difficulty: Literal["easy", "medium", "hard"] | None = None
    """LiveCodeBench: only problems of this difficulty."""
    tasks: int | None = Field(default=None, gt=0)
    """Only the first so many tasks."""
    samples: int = Field(default=1, gt=0)
    """Completions per task."""
    k: tuple[int, ...] = (1,)
    """pass@k for these k, each at most `samples`."""
    sampling: EvaluationSamplingConfig = EvaluationSamplingConfig()
    """How completions are sampled; greedy by default."""


class ParallelConfig(Section):
    """How debugging is spread: over parts of the tasks, each with a database of its own."""

    backend: Literal["serial", "processes", "ray"] = "serial"
    """`serial`: all tasks in this process. `processes`: shards on this machine. `ray`: shards on a running cluster."""
    shards: int = Field(default=2, gt=0)
    """Parts; each runs a client and a sandbox of its own."""
    workers: int = Field(default=2, gt=0)
    """Shards at work at a time."""


class PlaygroundConfig(Section):
    """Size of the demo laboratory."""

    train_tasks: int = Field(default=400, gt=0)
    """Tasks that the coder debugs."""
    held_out_tasks: int = Field(default=300, gt=0)
    """Tasks it is evaluated on, before and after training; their compositions are never trained on."""


class Config(Section):
    """Everything one run needs."""

    seed: int = 0
    """Seeds sampling, random negatives and training order."""
    model: str = "playground"
    """The model that is trained and evaluated: `playground`, a model folder, or a hub id."""
    client: ClientConfig = ClientConfig()
    repair_client: ClientConfig | None = None
    """Answers repairs, where another model than `client` should: a student's first attempts, a teacher's repairs."""
    judge_client: ClientConfig | None = None
    """Judges differences and tests; default: `client`."""
    budget: BudgetConfig = BudgetConfig()
    sandbox: SandboxConfig = SandboxConfig()
    limits: Limits | None = None
    """Limits of every execution; default: each task's own."""
    synthesis: SynthesisConfig = SynthesisConfig()
    debugging: DebuggingConfig = DebuggingConfig()
    validation: ValidationConfig = ValidationConfig()
    pairing: PairingConfig = PairingConfig()
    training: dict[str, Any] = {}
    """Keys of TRL's DPOConfig and ours, `method` above all; docs/training.md lists them."""
    evaluation: EvaluationConfig = EvaluationConfig()
    parallel: ParallelConfig = ParallelConfig()
    playground: PlaygroundConfig = PlaygroundConfig()


def load_config(
    path: str | Path | None = None, overrides: Sequence[str] = (), base: Mapping[str, Any] | None = None
) -> Config:
    """Read a YAML file (or take `base` instead) and apply `a.b=value` overrides, the values read as YAML.

    Raises:
        ConfigError: The file is missing or not a mapping, a key is unknown, or a value is of the wrong kind.
    """
    values = _read_yaml(Path(path)) if path else copy.deepcopy(dict(base or {}))
    for override in overrides:
        _apply_override(values, override)
    return parse_config(values, source=str(path) if path else "the built-in defaults")


def parse_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Check a mapping against the sections; see `load_config`."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(dict(e), source) for e in error.errors())) from None


def dump_config(config: Config) -> str:
    """The configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can't read this config file ({error.strerror}); check the path") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of sections at the top, got {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: expected key=value, for example --set debugging.max_iterations=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML: {error}") from None
    if isinstance(value, str) and (number := _scientific(value)) is not None:
        value = number
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section")
        values = child
    values[last] = value


def _scientific(text: str) -> float | None:
    """YAML 1.1 reads `1e-5` as text; people mean a number."""
    try:
        return float(text) if "e" in text.lower() else None
    except ValueError:
        return None


def _explain(error: dict[str, Any], source: str) -> str:
    location = [str(part) for part in error["loc"]]
    name = ".".join(location)
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        advice = f"did you mean {'.'.join([*location[:-1], near[0]])}?" if near else f"known: {', '.join(known)}"
        return f"{source}: unknown key {name}; {advice}"
    if location[-1] in MAY_HOLD_SECRETS:
        return f"{source}: {name}: {error['msg']} (what was given is not shown)"
    return f"{source}: {name}: {error['msg']}, got {error['input']!r}"


def _known_keys(parents: Sequence[str]) -> list[str]:
    section: Any = Config
    for parent in parents:
        field = section.model_fields.get(parent)
        options = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        section = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if section is None:
            return []
    return list(section.model_fields)
