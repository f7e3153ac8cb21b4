"""One YAML file, one section per stage → one frozen `Config`; read and checked in load.py.

Secrets have no place here: they come from the environment. `training` is handed whole to TRL's configuration
(`training/config.py`), which knows its own keys.
"""

from datetime import date
from typing import Any, Literal

from pydantic import Field, field_validator

from iterpref.clients import DEFAULT, AnyClientConfig, BudgetConfig
from iterpref.records import Limits, Style
from iterpref.rows import DatasetPart
from iterpref.section import Section

from .pairing import PairingConfig as PairingConfig
from .sampling import SamplingConfig as SamplingConfig
from .sandboxes import SandboxConfig as SandboxConfig
from .suites import SuiteConfig
from .synthesis import SynthesisConfig as SynthesisConfig


class DebuggingConfig(Section):
    """Attempt → execute → feedback → attempt."""

    mode: Literal["debugging", "sampling"] = "debugging"
    """`sampling` draws independent programs instead of repairs, for comparison at equal calls."""
    max_iterations: int = Field(default=5, ge=0)
    """Repairs after the first attempt (paper: at most five); in sampling mode, further draws."""
    drafts: bool = True
    """Begin with the program that a task was drafted with, as the paper does, where there is one: no call for a first
    attempt. `false` asks the model for one; sampling mode always does."""
    draws: Literal["until_passed", "all"] = "until_passed"
    """In sampling mode: stop at the first draw that passes, or make all, for pairs of passing × failing draws."""
    sampling: SamplingConfig = SamplingConfig()
    concurrency: int | None = Field(default=None, gt=0)
    """Tasks in flight at once; default: as many as the client is asked about together, and 256 more whose programs run.
    With a client of batches all are."""
    split: str | None = None
    """Only tasks of this split; default: all tasks of the run."""
    feedback: str = "execution"
    """What a model reads about its failed program: `execution`, what its tests said; `none`, only that they failed."""
    trim: bool = True
    """Cut from each program what its tests don't need: asserts, prints and usage that a model added. The reply itself
    is kept, and a program that reads and prints stays as it is."""


class ImportingConfig(Section):
    """Where a source of the user's holds what (`iterpref import`, and `synthesis.instructions`)."""

    columns: dict[str, str] = Field(default_factory=dict)
    """Our name → the source's column, as `tests: test_list`. Tasks: task_id, prompt, tests, test_setup, entry_point,
    prefix, reference, license, split. Pairs: prompt, chosen, rejected, task_id, license."""
    split: str = "train"
    """Split of a hub dataset, or of a saved one that has several."""
    config_name: str | None = None
    """Configuration of a hub dataset that has several, such as a language."""
    revision: str | None = None
    """Commit, tag or branch of a hub dataset; default: its newest."""
    style: Style | Literal["auto"] = "auto"
    """How the tests of mapped tasks are run; `auto` goes by what they define."""
    license: str = ""
    """Licence of tasks that name none."""

    @property
    def part(self) -> DatasetPart:
        return DatasetPart(self.split, self.config_name, self.revision)


class ValidationConfig(Section):
    """How far tests can be trusted (`iterpref validate`); what counts is decided in `pairing`."""

    repeats: int = Field(default=3, ge=1)
    """Runs of the passing program, each with another hash seed and order of tests."""
    mutants: int = Field(default=30, ge=0)
    """Most programs with one small fault, drawn at random."""
    failing: bool = True
    """Also run the failing programs of solved tasks again: one that passes at times is no wrong program."""
    stronger_tests: str | None = None
    """A benchmark such as `humaneval+`, or a JSONL file of tasks, with the ids of the run's tasks: what passes must
    pass these too, or its pairs are dropped."""
    stronger_path: str | None = None
    """Local file of that benchmark; default: as for `evaluation.path`."""


class DiagnosisConfig(Section):
    """Pairs → programs that a model continues before and after their changed lines."""

    samples: int = Field(default=5, gt=0)
    """Continuations from each place; 1 where decoding is greedy."""
    sampling: SamplingConfig = SamplingConfig()
    pairs: int | None = Field(default=None, gt=0)
    """Only the first so many pairs."""


class SelectionConfig(Section):
    """Which checkpoint becomes the model: the one whose programs pass the tests of validation tasks most often."""

    benchmark: str = "playground"
    """`playground`, `mbpp-full` or `mbpp-sanitized` (their split `validation`), or the path of a JSONL file of tasks of
    your own; no other tasks of published benchmarks."""
    split: str | None = "validation"
    """Only tasks of this split; null: all tasks of the file."""
    tasks: int | None = Field(default=None, gt=0)
    """Only the first so many tasks."""
    max_tokens: int = Field(default=1024, gt=0)
    """Most new tokens of a completion; decoding is greedy, pass@1."""


class EvaluationSamplingConfig(SamplingConfig):
    """The same, greedy unless said otherwise."""

    temperature: float = Field(default=0.0, ge=0, description="0 is greedy decoding.")


class EvaluationConfig(Section):
    """Benchmark → completions → Result."""

    benchmark: str = "playground"
    """`playground`, a published benchmark such as `humaneval+`, or a file of tasks (`importing.columns`)."""
    path: str | None = None
    """Local file of a published benchmark; default: its environment variable, else its release is downloaded."""
    protocol: Literal["auto", "plain", "chat", "base"] = "auto"
    """How tasks are put to the model: as the benchmark's publishers do (`auto`), the bare prompt as a user's turn,
    an instruction with a prefilled answer, or continuing the prompt without a chat template."""
    split: str | None = None
    """Only tasks of this split; null for all, in the playground for `held_out`. MBPP's four benchmarks have `prompt`,
    `test`, `validation` and `train` (ids 1-10, 11-510, 511-600, 601-974)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What only this benchmark understands; LiveCodeBench: `since`, `until` (contests, as 2024-08-01), `difficulty`."""

    @field_validator("options")
    @classmethod
    def _days(cls, options: dict[str, Any]) -> dict[str, Any]:
        """A day as text, as Results and config.yaml hold it, where YAML read a date or a point in time."""
        return {name: str(value)[:10] if isinstance(value, date) else value for name, value in options.items()}

    tasks: int | None = Field(default=None, gt=0)
    """Only the first so many tasks."""
    samples: int = Field(default=1, gt=0)
    """Completions per task."""
    k: tuple[int, ...] = (1,)
    """pass@k for these k, each at most `samples`."""
    repairs: int = Field(default=0, ge=0, le=100)
    """Answers more to a sample that fails: the model reads what its tests said, as in debugging; scored as `repair@1`
    to `repair@K`, beside `pass@1` of the first answers."""
    repair_feedback: Literal["failing", "public"] = "failing"
    """Which tests repairs are told of: the `failing` one, whichever it is, as in debugging, so that hidden tests leak;
    or only the examples that the prompt shows (`public`; LiveCodeBench has them)."""
    sampling: EvaluationSamplingConfig = EvaluationSamplingConfig()
    client: AnyClientConfig | None = None
    """What answers for the model that is evaluated, such as an endpoint; default: this process loads the model."""


class ParallelConfig(Section):
    """How debugging is spread: over parts of the tasks, each with a database of its own."""

    backend: Literal["serial", "processes", "ray"] = "serial"
    """`serial`: all tasks in this process. `processes`: shards on this machine. `ray`: shards on a running cluster."""
    what: Literal["shards", "grading"] = "shards"
    """`grading` (with `ray`): ask the model from here, and only run programs on the cluster, a worker per CPU."""
    shards: int = Field(default=2, gt=0)
    """Parts; each runs a client and a sandbox of its own."""
    workers: int = Field(default=2, gt=0)
    """Shards at work at a time; for `grading` sandboxes on the cluster."""


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
    client: AnyClientConfig = DEFAULT
    """Answers: writes programs and tasks, repairs, and judges where no other client does."""
    repair_client: AnyClientConfig | None = None
    """Answers repairs, where another model than `client` should: a student's first attempts, a teacher's repairs."""
    judge_client: AnyClientConfig | None = None
    """Judges differences and tests; default: `client`."""
    prompts: str | None = None
    """Folder of templates of yours, each in the place of the shipped question of its name; docs/data.md lists them."""
    budget: BudgetConfig = BudgetConfig()
    sandbox: SandboxConfig = SandboxConfig()
    limits: Limits | None = None
    """Limits of every execution, but never less time than a task's reference needs; default: each task's own."""
    importing: ImportingConfig = ImportingConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    debugging: DebuggingConfig = DebuggingConfig()
    validation: ValidationConfig = ValidationConfig()
    pairing: PairingConfig = PairingConfig()
    diagnosis: DiagnosisConfig = DiagnosisConfig()
    training: dict[str, Any] = Field(default_factory=dict)
    """Keys of TRL's DPOConfig and ours, `method` above all; docs/training.md lists them."""
    evaluation: EvaluationConfig = EvaluationConfig()
    suite: SuiteConfig = SuiteConfig()
    parallel: ParallelConfig = ParallelConfig()
    playground: PlaygroundConfig = PlaygroundConfig()
