"""Rewards for reinforcement learning on code: a completion's program, run against its row's tests in the sandbox.

    from iterpref.rewards import CodeReward

    reward = CodeReward(deadline_s=60.0)
    trainer = GRPOTrainer(model, reward_funcs=reward, train_dataset=rows)  # rows with prompt and tests

Names load when first used, so that importing this package costs nothing. Nothing here needs torch or a trainer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .metrics import RewardMetrics
    from .reward import CodeReward
    from .row_tasks import RowTasks

__all__ = ["CodeReward", "RewardMetrics", "RowTasks"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    where = {"CodeReward": ".reward", "RewardMetrics": ".metrics", "RowTasks": ".row_tasks"}
    return getattr(import_module(where[name], __name__), name)
