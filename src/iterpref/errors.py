"""The errors a caller may catch. A failing program is never one of them: it is data (`records.Execution`).

Every message says what went wrong, in which record, what was found, what was expected, and what to do next.
"""


class IterPrefError(Exception):
    """Anything wrong with input, configuration or tools that the user can act on."""


class ConfigError(IterPrefError):
    """A configuration key or value that can't be used."""


class MissingPackageError(IterPrefError, ImportError):
    """A package that a step needs is not installed; the message says what to install."""


class RecordError(IterPrefError):
    """A record (task, trajectory, pair, line of a file) that can't be read or is incomplete."""


class StoreError(IterPrefError):
    """A run folder that can't be opened, was written by a newer version, or is in use."""


class SandboxError(IterPrefError):
    """The sandbox itself is broken or not isolated enough; says nothing about the program."""


class ClientError(IterPrefError):
    """A model endpoint or model folder that can't answer."""


class RefusedError(ClientError):
    """One request that will never be answered (too long, filtered); says nothing about others."""


class EndpointError(ClientError):
    """An endpoint that can answer no request at all (refused key, unknown model, nothing listening)."""


class BudgetError(IterPrefError):
    """A budget that is used up; what was paid for is stored, and a higher budget continues."""


class StoppedError(IterPrefError):
    """The user stopped a step (Ctrl-C); the message says what is kept."""


class SpanError(IterPrefError):
    """Focal spans that don't belong to the text they came with."""


class TrainingError(IterPrefError):
    """Pairs, tokenizer or trainer settings that can't be trained on."""
