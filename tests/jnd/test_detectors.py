import pytest
import torch

from detection import tiny_detector
from jnd.detectors import resize_boxes


@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (90, 100), (33, 21)])
def test_the_detections_are_torchvisions(shape, generator):
    """torchvision's own preprocessing, told the detector's mean and std, takes pictures in 0..1."""
    detector = tiny_detector()
    pixels = 255 * torch.rand(2, 3, *shape, generator=generator)
    output = detector(pixels)
    assert output.picture == shape and max(output.resized) == 64
    assert sum(output.levels) == len(output.anchors) == output.logits.shape[1]

    network = detector.network
    network.transform.image_mean = (detector.mean.flatten() / 255).tolist()
    network.transform.image_std = (detector.std.flatten() / 255).tolist()
    for ours, theirs in zip(output.detections(), network(list(pixels / 255)), strict=True):
        assert len(theirs["scores"]) > 3
        assert torch.equal(ours["labels"], theirs["labels"])
        assert torch.allclose(ours["scores"], theirs["scores"], atol=1e-5)
        assert torch.allclose(ours["boxes"], theirs["boxes"], atol=1e-2)


def test_every_detection_is_one_of_the_boxes(generator):
    output = tiny_detector()(255 * torch.rand(1, 3, 50, 100, generator=generator))
    (detections,) = output.detections()
    boxes = detections["boxes"]
    to_nearest = (output.boxes[0][:, None] - boxes).abs().amax(2).amin(0)
    assert to_nearest.max() < 1e-3
    assert boxes.min() >= 0
    assert (boxes.amax(0) <= torch.tensor([100.0, 50, 100, 50]) + 1e-3).all()


def test_gradients_reach_the_pixels_given(generator):
    pixels = (255 * torch.rand(2, 3, 40, 60, generator=generator)).requires_grad_()
    tiny_detector()(pixels).logits.sum().backward()
    assert pixels.grad.shape == pixels.shape
    assert (pixels.grad != 0).float().mean() > 0.9


def test_a_detector_is_frozen():
    detector = tiny_detector()
    assert not detector.training and not any(p.requires_grad for p in detector.parameters())


def test_pictures_of_several_sizes_are_refused():
    pictures = [torch.zeros(3, 64, 64), torch.zeros(3, 48, 64)]
    with pytest.raises(ValueError, match="not a list; resize pictures of several sizes to one"):
        tiny_detector()(pictures)
    with pytest.raises(ValueError, match=r"takes pixels \(B, 3, H, W\), not \(3, 64, 64\)"):
        tiny_detector()(pictures[0])


def test_boxes_are_resized_with_their_picture():
    box = torch.tensor([10.0, 20, 30, 40])
    assert resize_boxes(box, (100, 200), (50, 400)).tolist() == [20, 10, 60, 20]
