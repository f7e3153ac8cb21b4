"""A small run folder: four tasks, debugged and sampled, paired by the real code, evaluated twice."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_run import HOSTILE, RIGHT, WORSE, WRONG, passed, put_trajectory, raised, result, task, trajectory, wrong

from iterpref.config import Config, PairingConfig
from iterpref.config.load import dump_config
from iterpref.pairing.pair import make_pairs
from iterpref.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "small") as opened:
        yield opened


@pytest.fixture
def fill(store: Store) -> Callable[[], Store]:
    """Puts everything a finished run has into the store and its folder."""

    def fill() -> Store:
        store.put_tasks([task(1), task(2, prompt=HOSTILE), task(3), task(4)])
        debugged = [
            trajectory("own/1", (WRONG, raised()), (RIGHT, passed())),
            trajectory("own/2", (WORSE + f"  # {HOSTILE}", wrong(got=repr(HOSTILE))), (RIGHT, passed())),
            trajectory("own/3", (RIGHT, passed())),
            trajectory("own/4", (WORSE, wrong()), (WORSE, wrong()), (WRONG, raised())),
        ]
        sampled = [
            trajectory("own/1", (RIGHT, passed()), origin="sampling"),
            *(trajectory(f"own/{i}", *[(WORSE, wrong())] * 3, origin="sampling") for i in (2, 3, 4)),
        ]
        for made in debugged + sampled:
            put_trajectory(store, made)
        settings = PairingConfig(negatives="each")
        store.replace_pairs(make_pairs(store, settings))
        store.put_result(result("base", {f"held/{i}": i % 4 == 0 for i in range(40)}))
        store.put_result(result("trained", {f"held/{i}": i % 4 in (0, 1, 2) and i != 4 for i in range(40)}))
        store.put_note("demo", {"identity": "x", "summary": {"seconds": 194.2}})
        (store.folder / "model").mkdir()
        log = [
            {"loss": 0.7 - 0.05 * i, "rewards/margins": 0.1 * i, "rewards/chosen": 0.1, "step": i, "epoch": i / 9}
            for i in range(1, 10)
        ]
        log.append({"train_runtime": 3.0, "train_loss": 0.4, "step": 9})
        (store.folder / "model" / "training_log.json").write_text(json.dumps(log), encoding="utf-8")
        (store.folder / "config.yaml").write_text(dump_config(Config()), encoding="utf-8")
        return store

    return fill
