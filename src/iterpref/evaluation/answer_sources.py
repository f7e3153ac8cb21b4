"""Where the programs that are scored come from: a model, asked now, or a file of completions."""

from collections.abc import Sequence
from typing import Protocol

from iterpref.clients import Completion, Ledger, Request, Sampling
from iterpref.config import Config, EvaluationConfig
from iterpref.errors import ConfigError, RefusedError
from iterpref.evaluation import protocols
from iterpref.evaluation.benchmarks import Benchmark
from iterpref.evaluation.benchmarks.definition import PromptProtocol
from iterpref.evaluation.repairs import check_repairs, repairs_in_words
from iterpref.evaluation.samples import Answer, Samples
from iterpref.prompts.own import SHIPPED, Prompts
from iterpref.records import Repair, Sample, Task

_OWN = "repairs asked for by the template %.12s of one's own"


class AnswerSource(Protocol):
    """Answers of a model or a file: `name` is its identity, `protocol` says in words how it was asked."""

    name: str
    protocol: str
    at_a_time: int | None  # how many to ask for together; None: all

    def count(self, task: Task) -> int: ...

    async def answer(self, task: Task, index: int) -> Answer: ...


class GeneratedAnswers:
    """Ask a model through the ledger: what was answered before costs nothing.

    Raises:
        ConfigError: Several samples of greedy decoding, which are equal, or repairs that this benchmark or protocol
            can't have.
    """

    def __init__(self, ledger: Ledger, benchmark: Benchmark, config: Config) -> None:
        settings = config.evaluation
        if settings.samples > 1 and settings.sampling.temperature == 0:
            raise ConfigError(
                f"evaluation.samples is {settings.samples} at temperature 0, where all completions of a task are "
                "equal; set evaluation.sampling.temperature, or samples to 1"
            )
        self._ledger = ledger
        check_repairs(benchmark.definition, settings)
        self._definition = benchmark.definition
        self._settings = settings
        self._prompts = Prompts.read(config.prompts) if settings.repairs else SHIPPED
        self._seed = config.seed
        self._protocol = protocols.chosen(benchmark.definition, settings.protocol)
        self.name = ledger.name
        manner = next((ledger.manner(self._request(task, 0)) for task in benchmark.tasks[:1]), "")
        own = self._prompts.identity("repair")
        said = (self._protocol, _sampling_in_words(settings), manner, repairs_in_words(settings), own and _OWN % own)
        self.protocol = ", ".join(filter(None, said))
        self.at_a_time = ledger.at_a_time

    def count(self, task: Task) -> int:
        return self._settings.samples

    async def answer(self, task: Task, index: int) -> Answer:
        try:
            _, completion = await self._ledger.complete(self._request(task, index))
        except RefusedError as error:
            return Answer("", "", refused=str(error))
        return self._answer(task, completion, self._protocol)

    async def repair(self, task: Task, index: int, number: int, last: Sample | Repair, feedback: str) -> Answer:
        """The answer after the model has read what was wrong with its `last` one; `number` counts repairs from 1."""
        asked = protocols.ask(task, self._definition, self._protocol)
        turns = tuple(turn for turn in asked.messages if turn.role != "assistant")  # without an answer begun for it
        request = Request(
            messages=(*turns, *self._prompts.repair_turns(last.program, last.completion, feedback)),
            sampling=Sampling(**self._settings.sampling.model_dump(), seed=self._seed),
            # Of its own for each: a model that returned the same wrong program must be able to answer differently.
            sample_index=index + number * self._settings.samples,
        )
        try:
            _, completion = await self._ledger.complete(request)
        except RefusedError as error:
            return Answer("", "", refused=str(error))
        return self._answer(task, completion, "plain")

    def _answer(self, task: Task, completion: Completion, protocol: PromptProtocol) -> Answer:
        program = protocols.program_of(task, completion.text, protocol, self._definition)
        ended = program and not protocols.is_open(task, completion.text, protocol)
        return Answer(completion.text, program, cut=completion.finish_reason == "length" and not ended)

    def _request(self, task: Task, index: int) -> Request:
        asked = protocols.ask(task, self._definition, self._protocol)
        sampling = Sampling(**self._settings.sampling.model_dump(), seed=self._seed, stop=asked.stop)
        return Request(messages=asked.messages, sampling=sampling, sample_index=index, raw=asked.raw)


def _sampling_in_words(settings: EvaluationConfig) -> str:
    sampling = settings.sampling
    how = f"T={sampling.temperature:g}, top_p={sampling.top_p:g}" if sampling.temperature else "greedy"
    number = "1 sample" if settings.samples == 1 else f"{settings.samples} samples"
    return f"{how}, {number} per task, at most {sampling.max_tokens} new tokens"


class RecordedAnswers:
    """Take the completions of a file."""

    def __init__(self, samples: Samples, tasks: Sequence[Task], k: Sequence[int]) -> None:
        self._samples = samples
        counts = {len(given) for given in samples.by_task.values()} or {0}
        number = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        self.name = samples.name
        self.protocol = f"samples of a file, {number} per task"
        self.at_a_time: int | None = 0  # they are at hand
        short = [task.task_id for task in tasks if self.count(task) < max(k, default=1)]
        if short:
            raise ConfigError(
                f"{samples.name}: evaluation.k is {list(k)}, and task {short[0]} has {len(samples.by_task[short[0]])} "
                "samples; pass@k needs at least k samples of each task: lower evaluation.k"
            )

    def count(self, task: Task) -> int:
        return len(self._samples.by_task[task.task_id])

    async def answer(self, task: Task, index: int) -> Answer:
        return self._samples.by_task[task.task_id][index]
