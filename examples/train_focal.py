"""Focal training as a plain TRL script: python examples/train_focal.py PAIRS.jsonl [MODEL [OUTPUT]]

PAIRS holds rows in TRL's preference formats, text or messages. MODEL is a folder or hub id; without one the tiny coder
that ships with IterPref. With method="dpo" this is TRL's DPOTrainer; "target_dpo" penalises only the lines that differ.
"""

import sys

from datasets import load_dataset

from iterpref import FocalDPOConfig, FocalDPOTrainer

PAIRS, MODEL, OUTPUT = [*sys.argv[1:], *("", "playground", "runs/focal")[len(sys.argv) - 1 :]]

args = FocalDPOConfig(
    output_dir=OUTPUT,
    method="target_rpo",
    num_train_epochs=1,
    per_device_train_batch_size=4,
    learning_rate=1e-5,
    logging_steps=1,
    save_strategy="no",
    report_to="none",
)
trainer = FocalDPOTrainer(MODEL, args=args, train_dataset=load_dataset("json", data_files=PAIRS, split="train"))
trainer.train()
trainer.save_model()
print(f"{len(trainer.train_dataset)} pairs trained, left out: {trainer.dropped or 'none'}; the model is in {OUTPUT}")
