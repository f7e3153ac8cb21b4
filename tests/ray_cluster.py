"""Debug a run on a Ray cluster of two nodes on this machine, and kill one of them when work is under way.

python tests/ray_cluster.py RUN_FOLDER shards|grading      (run by test_ray.py, in a network namespace of its own)
"""

import json
import sys
import threading
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.opened_run import OpenedRun
from iterpref.store import Store


def main(folder: Path, what: str) -> None:
    values = json.loads((folder / "values.json").read_text())
    config = parse_config(values | {"parallel": {"backend": "ray", "what": what, "shards": 4, "workers": 2}})
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "node_ip_address": "127.0.0.1"})
    second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    ray.init(address=cluster.address, log_to_driver=False)
    shards: dict[str, int] = {}

    def kill_when_both_work() -> None:
        while True:
            time.sleep(0.1)
            if what == "grading":
                shards["executions"] = count("executions")
                if shards["executions"] >= 4 and not ray.available_resources().get("CPU"):  # a sandbox on each node
                    cluster.remove_node(second, allow_graceful=False)
                    return
                continue
            for database in folder.glob("shards/*/run.sqlite"):
                try:
                    with Store.open(database.parent, write=False) as store:
                        shards[database.parent.name] = store.count("calls")
                except Exception:  # its tables are still being made
                    continue
            if sum(calls > 0 for calls in shards.values()) >= 2:
                cluster.remove_node(second, allow_graceful=False)
                return

    def count(table: str) -> int:
        with Store.open(folder, write=False) as store:
            return store.count(table)

    killer = threading.Thread(target=kill_when_both_work, daemon=True)
    killer.start()
    with Store.open(folder) as store:
        progress = pipeline.debug(OpenedRun(store, config))
    killer.join(1)
    print(json.dumps({"done": progress.done, "killed": not killer.is_alive(), "calls_at_kill": shards}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
