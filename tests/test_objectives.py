import pytest
import torch
from torch.nn.functional import cross_entropy

from jnd.objectives import AwayFrom, Towards, class_change, ranked_class

LOGITS = torch.tensor([[2.0, 1.0, -1.0], [0.0, 3.0, 2.5]])


def test_without_a_label_it_is_the_machines_answer():
    assert class_change(LOGITS, None, None).label.tolist() == [0, 1]
    assert class_change(LOGITS, None, 2).label.tolist() == [0, 1]


def test_towards_is_cross_entropy_to_the_target():
    towards = class_change(LOGITS, None, torch.tensor([1, 2]))
    assert isinstance(towards, Towards)
    expected = [-LOGITS[0].log_softmax(0)[1], -LOGITS[1].log_softmax(0)[2]]
    assert torch.allclose(towards.loss(LOGITS), torch.stack(expected))
    probability = LOGITS.softmax(1)
    assert torch.allclose(towards.confidence(LOGITS)[1], probability[1, [1, 2]])


def test_away_is_the_negative_cross_entropy_of_the_label():
    away = class_change(LOGITS, 0, None)
    assert isinstance(away, AwayFrom)
    assert torch.allclose(
        away.loss(LOGITS), -cross_entropy(LOGITS, torch.tensor([0, 0]), reduction="none")
    )
    assert torch.allclose(away.confidence(LOGITS), LOGITS.softmax(1)[:, [0, 1]])


def test_noticed_means_another_answer_than_the_label():
    assert class_change(LOGITS, 0, 1).noticed(LOGITS).tolist() == [False, True]
    assert class_change(LOGITS, 1, None).noticed(LOGITS).tolist() == [True, False]


def test_ranked_class():
    assert ranked_class(LOGITS, 1).tolist() == [0, 1]
    assert ranked_class(LOGITS, 2).tolist() == [1, 2]
    assert ranked_class(LOGITS, 3).tolist() == [2, 0]
    for rank in 0, 4:
        with pytest.raises(
            ValueError, match=rf"rank {rank} is out of range: the machine ranks 1\.\.3"
        ):
            ranked_class(LOGITS, rank)


# detection
