"""GRPO with the sandbox as its reward: python examples/grpo.py [MODEL [OUTPUT]]

MODEL is a folder or hub id; without one the playground's coder, which two CPU cores train in a few minutes. Any data
set with columns `prompt` and `tests` does (MBPP's `test_list` and HumanEval's `test` are found, too).
"""

import sys

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from iterpref import CodeReward, Limits
from iterpref.playground.coder import resolve_model
from iterpref.playground.tasks import playground_tasks

MODEL, OUTPUT = [*sys.argv[1:], *("playground", "runs/grpo")[len(sys.argv) - 1 :]]

model = resolve_model(MODEL)
rows = [
    {"prompt": [{"role": "user", "content": task.prompt}], **task.model_dump(include={"tests", "style", "entry_point"})}
    for task in playground_tasks("train", 400)
]
reward = CodeReward(deadline_s=30.0, limits=Limits(cpu_s=2.0, wall_s=6.0))
settings = GRPOConfig(
    output_dir=OUTPUT, max_steps=40, learning_rate=3e-4, lr_scheduler_type="constant", beta=0.0,
    per_device_train_batch_size=128, num_generations=8, max_completion_length=160, gradient_checkpointing=False,
    logging_steps=1, save_strategy="no", report_to="none", bf16=False,
    dataloader_pin_memory=False,
)  # fmt: skip
trainer = GRPOTrainer(
    AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
    reward_funcs=reward,
    args=settings,
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(model),
)
trainer.train()
trainer.save_model()
print(reward.metrics)
