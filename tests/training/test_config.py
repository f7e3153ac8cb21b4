"""Method → TRL's loss terms, and the settings that are refused."""

import math

import pytest
import torch

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.errors import ConfigError
from iterpref.run_folder import RunFolder
from iterpref.training.config import FocalDPOConfig
from iterpref.training.settings import parse_training

from .conftest import example_pairs, write_pairs


@pytest.mark.parametrize(
    ("values", "loss_type", "loss_weights"),
    [
        ({"method": "sft"}, ["sft"], [1.0]),
        ({"method": "dpo"}, ["sigmoid"], [1.0]),
        ({"method": "rpo", "alpha": 3}, ["sigmoid", "sft"], [1.0, 3.0]),
        ({"method": "target_dpo"}, ["sigmoid"], [1.0]),
        ({"method": "target_rpo"}, ["sigmoid", "sft"], [1.0, 1.0]),
        ({"method": "dpo", "loss_type": ["sigmoid"]}, ["sigmoid"], [1.0]),
        ({"method": "hybrid", "alpha": 0}, ["sigmoid", "sft"], [1.0, 0]),
        ({}, ["sigmoid", "sft"], [1.0, 1.0]),
    ],
)
def test_method_fills_the_loss(tmp_path, values, loss_type, loss_weights):
    config = parse_training(values, tmp_path).args
    assert (config.loss_type, config.loss_weights) == (loss_type, loss_weights)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"methud": "dpo"}, "unknown key methud; did you mean method?"),
        ({"learning_rat": 1e-5}, "unknown key learning_rat; did you mean learning_rate?"),
        ({"method": "target-rpo"}, "method='target-rpo' is unknown; did you mean target_rpo?"),
        ({"method": "target_rpo", "loss_type": ["sigmoid"]}, "loss_type=.'sigmoid'. was given too"),
        ({"method": "dpo", "loss_type": "ipo"}, "loss_type=.'ipo'. was given too"),
        ({"method": "rpo", "loss_weights": [1.0, 0.5]}, "set alpha instead"),
        ({"method": "target_dpo", "alpha": 2.0}, "method=target_dpo has none"),
        ({"alpha": -1.0}, "negative"),
        ({"ld_alpha": 0.5}, "ld_alpha=0.5"),
        ({"method": "rpo", "use_weighting": True}, "use_weighting can't be combined"),
        ({"method": "sft", "use_weighting": True}, "use_weighting can't be combined"),
        ({"method": "dpo", "sft_on": "rejected"}, "sft_on=rejected is for method=sft"),
        ({"trunk_attention": "flash"}, "trunk_attention='flash' is unknown"),
        ({"empty_removed": "keep"}, "empty_removed='keep' is unknown"),
        ({"output_dir": "elsewhere"}, "output_dir is set by the run folder"),
        ({"resume_from_checkpoint": "checkpoint-1"}, "resume_from_checkpoint is set by the run folder"),
        ({"learning_rate": "fast"}, "learning_rate: .*got 'fast'"),
        ({"num_train_epochs": []}, "num_train_epochs: .*got"),
        ({"save_strategy": False}, "save_strategy: .*quote it"),
        ({"save_strategy": "sometimes"}, "sometimes"),
        ({"pad_token": "<pad>"}, "pad_token is deprecated"),
        ({"lora_r": 8}, "lora_r is about adapters; set use_peft: true"),
        ({"load_in_4bit": True}, "load_in_4bit is about adapters"),
        ({"use_peft": True, "lora_alfa": 8}, "unknown key lora_alfa; did you mean lora_alpha"),
        ({"use_peft": True, "load_in_4bit": True, "load_in_8bit": True}, "8 bit and 4 bit"),
        ({"use_peft": True, "dtype": "bfloat16"}, "unknown key dtype"),
        ({"selection": {"benchmrk": "x"}}, "training.selection.benchmrk: .*its keys are benchmark, split"),
        ({"selection": {}, "save_strategy": "no"}, "save_strategy=no makes none"),
    ],
)
def test_refused(tmp_path, values, message):
    with pytest.raises(ConfigError, match=message):
        parse_training(values, tmp_path)


def test_numbers_that_yaml_reads_as_text(tmp_path):
    assert parse_training({"learning_rate": "1e-5"}, tmp_path).args.learning_rate == 1e-5


def test_direct_construction_checks_too(tmp_path):
    """An explicit loss that equals TRL's default is still a contradiction."""
    with pytest.raises(ConfigError, match="was given too"):
        FocalDPOConfig(output_dir=str(tmp_path), method="target_rpo", loss_type=["sigmoid"])


def test_a_copy_keeps_the_loss(tmp_path):
    from dataclasses import replace

    config = FocalDPOConfig(output_dir=str(tmp_path), method="rpo", alpha=2.0)
    assert replace(config, seed=7).loss_weights == [1.0, 2.0]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
def test_half_precision_on_a_cpu_trains_on_it(tmp_path, workshop, caplog):
    assert not parse_training({}, tmp_path).args.bf16
    write_pairs(tmp_path / "pairs", example_pairs(chat=True, count=4))
    training = {"method": "target_rpo", "bf16": True, "max_steps": 2, "per_device_train_batch_size": 2,
                "save_strategy": "no", "gradient_checkpointing": False, "report_to": "none",
                "model_init_kwargs": {"dtype": "bfloat16"}}  # fmt: skip
    config = parse_config({"model": workshop(chat=True)[0], "training": training})
    assert math.isfinite(pipeline.train(RunFolder(tmp_path), config).train_loss)
    assert "ignored" not in caplog.text
