"""Layouts written out by hand."""

import pytest
import torch

from iterpref.training.trunk.attention import tree_mask
from iterpref.training.trunk.install import unpack
from iterpref.training.trunk.layout import MIN_SHARED, Segment, batch_layout, plan_layout

SHARED = list(range(100, 100 + MIN_SHARED))
P = MIN_SHARED


def test_pair():
    """The chosen row's last token feeds nothing, nor does what follows the rejected row's last token with loss."""
    chosen, rejected = [*SHARED, 1, 2, 3], [*SHARED, 1, 7, 8, 9, 9]
    loss = [[0] * P + [1, 1, 1], [0] * P + [0, 1, 1, 0, 0]]
    layout = plan_layout([chosen, rejected], loss, P + 5)
    assert layout.input_ids.tolist() == [[*SHARED, 1, 2, 7]]
    assert layout.position_ids.tolist() == [[*range(P), P, P + 1, P + 1]]
    assert layout.segments == (Segment(0, P + 2), Segment(P + 2, P + 3, ((0, P + 1),)))
    # the state of token 1 predicts the chosen 2 and the rejected 7
    assert layout.picked.tolist() == [P - 1, P, P, P + 1, P + 2]
    assert layout.labels.tolist() == [[1, 2, 7, 3, 8]]
    values = torch.tensor([[10.0, 20.0, 30.0, 40.0, 50.0]])
    assert unpack(values, layout)[:, P - 1 :].tolist() == [[10, 20, 40, 0, 0], [0, 30, 50, 0, 0]]


def test_one_wrong_token_needs_no_branch():
    layout = plan_layout([[*SHARED, 1, 2], [*SHARED, 7, 2]], [[0] * P + [1, 1], [0] * P + [1, 0]], P + 2)
    assert layout.tokens == P + 1
    assert layout.labels.tolist() == [[1, 7, 2]]


def test_equal_chosen_rows_are_run_once():
    chosen = [*SHARED, 1, 2, 3]
    rejected = [[*SHARED, 5, 5, 5], [*SHARED, 1, 6, 6]]
    loss = [[0] * P + [1] * 3] * 4
    layout = plan_layout([chosen, chosen, *rejected], loss, P + 3)
    assert layout.tokens == (P + 2) + 2 + 1
    values = unpack(torch.arange(1.0, 1 + layout.labels.shape[1])[None], layout)
    assert values[0].equal(values[1])
    assert (values[:, P - 1 :] > 0).all()


def test_shared_token_with_loss_on_both_sides_is_scored_once():
    """Plain DPO: the rejected row's loss begins before it differs."""
    rows = [[*SHARED, 1, 2], [*SHARED, 1, 7]]
    layout = plan_layout(rows, [[0] * P + [1, 1]] * 2, P + 2)
    assert layout.labels.tolist() == [[1, 2, 7]]
    assert unpack(torch.tensor([[1.0, 2.0, 3.0]]), layout)[:, P - 1 :].tolist() == [[1, 2], [1, 3]]


def test_different_tasks_are_separate_trees():
    rows = [[1, 2, 3, *SHARED], [1, 2, 4, *SHARED]]
    layout = plan_layout(rows, [[0, 0, 0] + [1] * P] * 2, P + 3)
    assert [segment.prefix for segment in layout.segments] == [(), ()]
    assert layout.position_ids.tolist() == [[*range(P + 2), *range(P + 2)]]
    mask = tree_mask(layout)[0, 0]
    assert not mask[P + 2 :, : P + 2].any()
    assert mask.sum() == (P + 2) * (P + 3)


def test_rows_without_loss_take_no_part():
    layout = plan_layout([[1, 2, 3], [1, 2, 4]], [[0, 1, 1], [0, 0, 0]], 4)
    assert layout.input_ids.tolist() == [[1, 2]]
    assert (layout.rows, layout.width, layout.row_tokens) == (2, 3, 6)
    assert unpack(torch.tensor([[1.0, 2.0]]), layout).tolist() == [[1, 2, 0], [0, 0, 0]]


def test_the_first_token_has_no_prediction():
    layout = plan_layout([[1, 2]], [[1, 1]], 2)
    assert layout.labels.tolist() == [[2]]


def test_nothing_to_predict():
    layout = plan_layout([[1, 2]], [[0, 0]], 2)
    assert layout.tokens == 0


@pytest.mark.parametrize("padding", [0, 3])
def test_padding_is_left_out(padding):
    ids = torch.tensor([[*SHARED, 1, 2], [*SHARED, 7, 0]])
    attention = torch.tensor([[1] * (P + 2), [1] * (P + 1) + [0]])
    loss = torch.tensor([[0] * P + [1, 1], [0] * P + [1, 0]])
    layout = batch_layout(*(torch.nn.functional.pad(x, (0, padding)) for x in (ids, attention, loss)))
    assert (layout.tokens, layout.row_tokens, layout.width) == (P + 1, 2 * P + 3, P + 1 + padding)
