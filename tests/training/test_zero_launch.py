"""DeepSpeed's ZeRO-2 and ZeRO-3 by the shipped files: two processes on a CPU train in float32 what one trains.

Under ZeRO-3 neither holds the model. Its model is wider than others of these tests, for DeepSpeed keeps tensors of less
than 100,000 numbers whole in each process.
"""

import importlib.util
from pathlib import Path

import pytest

from .conftest import make_model
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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("deepspeed"), reason="needs DeepSpeed: pip install deepspeed"),
]
FILES = ("zero2.yaml", "zero3.yaml")
both = pytest.mark.parametrize("file", FILES)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, workshop) -> Trainings:
    return Trainings(workshop("wide llama", chat=True)[0], tmp_path_factory.mktemp)


def check_shared(run: Path, file: str) -> None:
    """Each process held a half: by ZeRO-3 of policy and reference, by either of the optimizer's moments.

    Norms and an adapter's matrices, 2 % of all, are among the small tensors that ZeRO-3 keeps whole beside its part.
    """
    for found in held_by_each(run):
        assert found["trunk"] == "split"
        for name in ("policy", "reference"):
            if found[name]:
                own, whole = found[name]
                assert whole > 2_000_000
                assert (0.49 * whole < own < 0.53 * whole) if file == "zero3.yaml" else own == whole
        own, whole = found["moments"]
        assert 0.49 * whole < own < 0.51 * whole


@both
@pytest.mark.parametrize(
    "training",
    [
        pytest.param({}, id="with a reference"),
        pytest.param({"precompute_ref_log_probs": True, "gradient_accumulation_steps": 2}, id="references beforehand"),
        pytest.param({"method": "sft"}, id="without a reference"),
    ],
)
def test_two_processes_of_zero_train_what_one_trains(trainings, file, training) -> None:
    run = trainings.make(**training)
    assert summary(trainings.by_file(file, run))["steps"] == 10
    check_shared(run, file)
    assert (held_by_each(run)[0]["reference"] is not None) == (training == {})
    check_same(run / "model", trainings.of_one(**training))
    check_loads(run / "model")


@both
def test_a_killed_run_of_zero_goes_on_and_selects(trainings, file) -> None:
    run = trainings.make(selection=SELECTION)
    assert trainings.by_file(file, run, KILL_AT="8").returncode != 0
    assert not (run / "model" / "config.json").exists()
    told = summary(trainings.by_file(file, run))
    assert (told["resumed_step"], told["selected_step"], told["steps"]) == (8, 4, 10)
    assert list(told["validation"]) == ["4", "8", "10"]
    check_same(run / "model" / "checkpoint-10", trainings.of_one())
    check_bits(run / "model", run / "model" / "checkpoint-4")


@both
def test_an_adapter_is_trained_killed_and_merged(trainings, file) -> None:
    run = trainings.make(**ADAPTER)
    assert trainings.by_file(file, run, KILL_AT="8").returncode != 0
    assert summary(trainings.by_file(file, run))["resumed_step"] == 8
    check_shared(run, file)
    check_same(run / "model", trainings.of_one(**ADAPTER))
    check_loads(run / "model")
    assert (run / "model" / "adapter" / "adapter_model.safetensors").is_file()


def test_references_beforehand_are_kept_by_the_weights(trainings, tmp_path_factory, workshop) -> None:
    """Under ZeRO-3 a model's tensors are empty, and don't tell it from another one of its shape."""
    cache, tokenizer = tmp_path_factory.mktemp("references"), workshop("wide llama", chat=True)[1]
    other = make_model(tmp_path_factory.mktemp("model"), tokenizer, "wide llama", seed=1)
    for started, expected in ((trainings, 1), (trainings, 1), (Trainings(other, tmp_path_factory.mktemp), 2)):
        run = started.make(precompute_ref_log_probs=True, reference_cache=str(cache), max_steps=1)
        summary(started.by_file("zero3.yaml", run))
        assert len(list(cache.rglob("cache-*.arrow"))) == expected
