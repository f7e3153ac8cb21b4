"""FSDP2 by the shipped file: two processes on a CPU, neither of which holds the model, train what one trains."""

from pathlib import Path

import pytest

from .launching import (
    ADAPTER,
    SELECTION,
    Trainings,
    check_bits,
    check_loads,
    check_same,
    held_by_each,
    summary,
)

FILE = "fsdp2.yaml"


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, workshop) -> Trainings:
    return Trainings(workshop(chat=True)[0], tmp_path_factory.mktemp)


def check_shared(run: Path) -> None:
    """Of the policy each process held a half; of a reference, whose head stays gathered, a half of all the rest."""
    held = held_by_each(run)
    whole = held[0]["policy"][1]
    assert whole > 30_000
    assert sum(found["policy"][0] for found in held) == whole
    assert all(0.4 * whole < found["policy"][0] < 0.6 * whole for found in held)
    head = 425 * 32 + 32  # with the last norm
    for found in held:
        if found["reference"]:
            own, of_all = found["reference"]
            assert of_all == whole
            assert 0.4 * (whole - head) < own - head < 0.6 * (whole - head)


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        pytest.param({}, id="with a reference"),
        pytest.param({"precompute_ref_log_probs": True, "gradient_checkpointing": False}, id="references beforehand"),
        pytest.param({"method": "sft"}, id="without a reference"),
        pytest.param({"trunk_attention": "off"}, id="without shared trunks"),
    ],
)
def test_two_sharded_processes_train_what_one_trains(trainings, training) -> None:
    run = trainings.make(**training)
    assert summary(trainings.by_file(FILE, run))["steps"] == 10
    check_shared(run)
    noted = held_by_each(run)[0]
    assert noted["trunk"] == (None if "trunk_attention" in training else "split")
    assert (noted["reference"] is not None) == (training in ({}, {"trunk_attention": "off"}))
    check_same(run / "model", trainings.of_one(**training))
    check_loads(run / "model")


@pytest.mark.slow
def test_an_adapter_is_merged_by_the_first_process(trainings) -> None:
    run = trainings.make(**ADAPTER)
    assert summary(trainings.by_file(FILE, run))["steps"] == 10
    check_shared(run)
    check_same(run / "model", trainings.of_one(**ADAPTER))
    assert (run / "model" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [{}, ADAPTER], ids=["all weights", "adapter"])
def test_a_killed_run_goes_on_and_selects(trainings, adapter) -> None:
    run = trainings.make(selection=SELECTION, **adapter)
    assert trainings.by_file(FILE, run, KILL_AT="8").returncode != 0
    assert not (run / "model" / "config.json").exists()
    told = summary(trainings.by_file(FILE, run))
    assert (told["resumed_step"], told["selected_step"], told["steps"]) == (8, 4, 10)
    assert list(told["validation"]) == ["4", "8", "10"]
    chosen = run / "model" / "checkpoint-4"
    if adapter:
        check_bits(run / "model" / "adapter", chosen, "adapter_model.safetensors")
    else:
        check_same(run / "model" / "checkpoint-10", trainings.of_one())
        check_bits(run / "model", chosen)


@pytest.mark.slow
def test_references_of_an_adapter_beforehand_are_refused(trainings) -> None:
    run = trainings.make(precompute_ref_log_probs=True, **ADAPTER)
    done = trainings.by_file(FILE, run)
    assert done.returncode != 0
    assert "precompute_ref_log_probs=true with an adapter can't be used under FSDP" in done.stderr
    assert not (run / "model").exists()
