"""One YAML file, one section per stage → one frozen `Config`. Unknown keys fail and name the nearest known one.

    config = load_config("recipes/demo.yaml", ["debugging.max_iterations=3"])

The resolved configuration is written into the run folder. Secrets have no place here: they come from the environment.
`training` is handed whole to TRL's configuration (`training/config.py`), which knows its own keys.
"""

from .load import dump_config, load_config, parse_config
from .stages import (
    Config,
    DebuggingConfig,
    EvaluationConfig,
    EvaluationSamplingConfig,
    ImportingConfig,
    PairingConfig,
    SamplingConfig,
    SelectionConfig,
    SynthesisConfig,
    ValidationConfig,
)

__all__ = [
    "Config",
    "DebuggingConfig",
    "EvaluationConfig",
    "EvaluationSamplingConfig",
    "ImportingConfig",
    "PairingConfig",
    "SamplingConfig",
    "SelectionConfig",
    "SynthesisConfig",
    "ValidationConfig",
    "dump_config",
    "load_config",
    "parse_config",
]
