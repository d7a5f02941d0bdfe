import pytest
import torch
from torch.nn.functional import cross_entropy

from jnd.objectives import AwayFrom, Towards, class_change, ranked_class

LOGITS = torch.tensor([[2.0, 1.0, -1.0], [0.0, 3.0, 2.5]])


@pytest.mark.parametrize("target", [None, 2])
def test_without_a_label_it_is_the_machines_answer(target):
    assert class_change(LOGITS, None, target).label.tolist() == [0, 1]


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
    expected = -cross_entropy(LOGITS, torch.tensor([0, 0]), reduction="none")
    assert torch.allclose(away.loss(LOGITS), expected)
    assert torch.allclose(away.confidence(LOGITS), LOGITS.softmax(1)[:, [0, 1]])


def test_noticed_means_another_answer_than_the_label():
    assert class_change(LOGITS, 0, 1).noticed(LOGITS).tolist() == [False, True]
    assert class_change(LOGITS, 1, None).noticed(LOGITS).tolist() == [True, False]


@pytest.mark.parametrize("target", [None, torch.tensor([1, 0])])
def test_a_selection_asks_the_same_about_its_images(target):
    objective = class_change(LOGITS, None, target)
    reverse = torch.tensor([1, 0])
    selected = objective.select(reverse)
    for question in "loss", "noticed", "confidence":
        expected = getattr(objective, question)(LOGITS)[reverse]
        assert torch.equal(getattr(selected, question)(LOGITS[reverse]), expected)


def test_ranked_class():
    assert ranked_class(LOGITS, 1).tolist() == [0, 1]
    assert ranked_class(LOGITS, 2).tolist() == [1, 2]
    assert ranked_class(LOGITS, 3).tolist() == [2, 0]


@pytest.mark.parametrize("rank", [0, 4])
def test_ranks_must_exist(rank):
    message = rf"rank {rank} is out of range: the machine ranks 1\.\.3"
    with pytest.raises(ValueError, match=message):
        ranked_class(LOGITS, rank)
