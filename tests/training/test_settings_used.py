"""A training's report shows the settings that it ran with, not those that its run would start from."""

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.run_folder import RunFolder
from iterpref.store import Store
from iterpref.viewer.report import render_report

from .conftest import example_pairs, write_pairs

TRAINING = {"max_steps": 1, "per_device_train_batch_size": 2, "save_strategy": "no", "gradient_checkpointing": False,
            "bf16": False, "report_to": "none"}  # fmt: skip


def test_stumble_1_the_report_shows_what_a_training_ran_with(tmp_path, workshop):
    run = tmp_path / "run"
    with Store.open(run) as store:
        (run / "config.yaml").write_text("training: {}\n")
        write_pairs(run / "pairs", example_pairs(chat=True, count=2))
        config = parse_config({"model": workshop(chat=True)[0], "training": TRAINING | {"method": "dpo"}})
        pipeline.train(RunFolder(run), config)
        page = render_report(store)
    assert "training.max_steps: 1" in page
    assert "training.method: &#34;dpo&#34;" in page
