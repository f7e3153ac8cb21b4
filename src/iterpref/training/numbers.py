"""Numbers in the `training:` section that no training can have, refused by name before torch is loaded."""

from collections.abc import Mapping
from typing import Any

from iterpref.errors import ConfigError

_AT_LEAST_ONE = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "save_total_limit",
    "lora_r",
)
_POSITIVE = ("num_train_epochs", "save_steps", "logging_steps", "eval_steps", "adam_epsilon")
_NOT_NEGATIVE = ("learning_rate", "weight_decay", "warmup_steps", "max_grad_norm", "beta", "dataloader_num_workers")


def check_numbers(values: Mapping[str, Any]) -> None:
    """Refuse a number out of its range; what is no number at all is left to who reads its type.

    Raises:
        ConfigError: Names the key, the number, and what is expected.
    """
    ranges = [(_AT_LEAST_ONE, 1, "1 or more"), (_POSITIVE, 0, "more than 0"), (_NOT_NEGATIVE, 0, "0 or more")]
    for keys, lowest, expected in ranges:
        for key in keys:
            value = values.get(key)
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            if value < lowest or (keys is _POSITIVE and value == 0):
                raise ConfigError(f"training: {key}={value} can't be used; expected {expected}")
    steps = values.get("max_steps")
    if isinstance(steps, int) and (steps < -1 or steps == 0):
        raise ConfigError(f"training: max_steps={steps} can't be used; expected 1 or more, or -1 for num_train_epochs")
