import json
import random
from collections import Counter
from pathlib import Path

import pytest

from iterpref.errors import RecordError
from iterpref.synthesis.features import Feature, load_tree
from iterpref.synthesis.synthesize import graft

TREE = {"algorithm": {"sorting": ["stable", "partial"], "searching": {"binary": None}}, "text": {}}


def test_the_own_tree() -> None:
    tree = load_tree()
    assert len(tree.children) == 21
    assert "computation operation" in tree.children
    assert len(list(tree.paths())) > 100


def test_a_folder_in_epicoder_s_format(tmp_path: Path) -> None:
    (tmp_path / "epicoder_features.json").write_text(json.dumps(TREE))
    counts = {"algorithm": 30, "algorithm---sorting": 20, "algorithm---sorting---stable": 5}
    (tmp_path / "epicoder_features_frequency.json").write_text(json.dumps(counts))
    tree = load_tree(tmp_path)
    assert tree.nested() == {
        "algorithm": {"sorting": {"stable": {}, "partial": {}}, "searching": {"binary": {}}}, "text": {}
    }  # fmt: skip
    assert tree.counts()["algorithm---sorting"] == 20
    assert tree.counts()["text"] == 1


@pytest.mark.parametrize(
    ("tree", "counts", "message"),
    [
        pytest.param({"a": {"b": {"a": {}}}}, {}, "a---b---a leads back to itself", id="cycle"),
        pytest.param({"a": {}}, {"a": "3"}, "the count of a is '3', expected a number above 0", id="text for a count"),
        pytest.param({"a": {}}, {"a": 0}, "the count of a is 0", id="never seen"),
        pytest.param({"a": 3}, {}, "at a: got int, expected an object or a list of names", id="number for a node"),
        pytest.param({"a": {"b": ["x", 3]}}, {}, "at a---b: got list", id="number for a name"),
        pytest.param({}, {}, "this tree is empty", id="empty"),
        pytest.param([3], {}, "at the top: got list", id="no tree"),
    ],
)
def test_a_tree_that_is_none(tmp_path: Path, tree: object, counts: object, message: str) -> None:
    (tmp_path / "x_features.json").write_text(json.dumps(tree))
    (tmp_path / "x_frequency.json").write_text(json.dumps(counts))
    with pytest.raises(RecordError, match=message):
        load_tree(tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"can't read this feature tree .* check synthesis\.tree"):
        load_tree(tmp_path / "absent.json")
    (tmp_path / "x.json").write_text("[" * 100_000)
    with pytest.raises(RecordError, match="not a feature tree in JSON"):
        load_tree(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("temperature", "share"),
    [
        pytest.param(1.0, 0.9, id="follows the frequencies: 9 of 10"),
        pytest.param(2.0, 0.75, id="softmax(log p / 2): 3 of 4"),
        pytest.param(1000.0, 0.5, id="uniform"),
    ],
)
def test_temperature(temperature: float, share: float) -> None:
    tree = Feature(children={"often": Feature(9), "rare": Feature(1)})
    draw = random.Random(0)
    drawn = Counter(next(iter(tree.sample(draw, (1,), temperature).children)) for _ in range(4000))
    assert drawn["often"] / 4000 == pytest.approx(share, abs=0.025)


def test_a_sample_has_the_shape_without_repeats_and_with_what_must_be() -> None:
    tree = load_tree()
    for seed in range(50):
        part = tree.sample(random.Random(seed), (5, 2, 1), 10.0, ["computation operation"])
        assert len(part.children) == 5
        assert "computation operation" in part.children
        for child in part.children.values():
            assert 1 <= len(child.children) <= 2
            assert all(len(below.children) == 1 for below in child.children.values())


def test_counting_and_grafting() -> None:
    tree = Feature.read(TREE, {}, "t")
    tree.add(("algorithm", "sorting", "new"))
    assert tree.counts()["algorithm---sorting"] == 2
    assert tree.counts()["algorithm---sorting---new"] == 1
    graft(tree, Feature.read({"algorithm": {"hashing": ["cuckoo"]}}, {}, "g"))
    assert tree.counts()["algorithm---hashing"] == 1.5  # the mean of 2 and 1
    assert tree.counts()["algorithm---hashing---cuckoo"] == 1.5


def test_a_tree_without_counts_is_even() -> None:
    tree = load_tree()
    assert tree.even
    tree.add(("algorithm", "sorting", "heap sort"))
    assert not tree.even


def test_a_tree_is_read_back_with_its_counts(tmp_path: Path) -> None:
    tree = load_tree()
    tree.add(("algorithm", "sorting", "heap sort"))
    tree.write(tmp_path / "tree")
    again = load_tree(tmp_path / "tree")
    assert (again.nested(), again.counts()) == (tree.nested(), tree.counts())
    assert again.counts()["algorithm---sorting"] == 2
