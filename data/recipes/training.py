"""Shared by the training recipes: a resumable loop and the export to fp16 safetensors."""

import json
import time
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from companion.files import replacing

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # grey levels
IMAGENET_STD = (58.395, 57.12, 57.375)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SGD = partial(torch.optim.SGD, momentum=0.9, nesterov=True)


def normalised(pixels, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    """Turn uint8 pixels, (B, 3, H, W), into the float input that torchvision's networks expect."""
    mean = torch.tensor(mean, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(std, device=pixels.device).view(1, 3, 1, 1)
    x = (pixels.float() - mean) / std
    return x.contiguous(memory_format=torch.channels_last)


def classification_loss(model, inputs, labels):
    return cross_entropy(model(inputs), labels, label_smoothing=0.1)


def fit(
    model,
    batches,
    epochs,
    *,
    checkpoint,
    max_lr,
    evaluate,
    steps_per_epoch,
    loss=classification_loss,
    optimiser=SGD,
    weight_decay=5e-4,
    ema=0.99,
):
    """Train with a one-cycle schedule and return the averaged model.

    ``batches(epoch)`` yields the (inputs, labels) that ``loss(model, inputs, labels)`` needs and is
    seeded by the epoch, so that a killed run resumes from ``checkpoint``, rewritten after every
    epoch, to the same result.
    """
    model.to(DEVICE, memory_format=torch.channels_last)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema), use_buffers=True)
    decay = [p for p in model.parameters() if p.ndim > 1]
    no_decay = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = optimiser(
        [
            {"params": decay, "weight_decay": weight_decay},
            {"params": no_decay, "weight_decay": 0.0},
        ],
        lr=max_lr,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr, total_steps=epochs * steps_per_epoch, pct_start=0.2, cycle_momentum=False
    )
    parts = {"model": model, "average": average, "optimiser": optimiser, "schedule": schedule}
    start = 0
    if Path(checkpoint).exists():
        state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
        start = state.pop("epoch")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        print(f"resuming after epoch {start}", flush=True)
    for epoch in range(start, epochs):
        began = time.time()
        total = 0.0
        model.train()
        torch.manual_seed(epoch)  # dropout
        for inputs, labels in batches(epoch):
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                value = loss(model, inputs.to(DEVICE), moved(labels))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            total += value.item()
        state = {name: part.state_dict() for name, part in parts.items()}
        with replacing(Path(checkpoint)) as part:
            torch.save(state | {"epoch": epoch + 1}, part)
        print(
            f"epoch {epoch + 1}/{epochs}  loss {total / steps_per_epoch:.3f}  "
            f"held-out {evaluate(average.module):.4f}  {time.time() - began:.0f} s",
            flush=True,
        )
    return average.module


def moved(labels):
    """Move a tensor, or a list of dicts of tensors as detectors take them, to the device."""
    if isinstance(labels, torch.Tensor):
        return labels.to(DEVICE)
    return [{key: value.to(DEVICE) for key, value in target.items()} for target in labels]


def save_weights(model, path, *, mean=IMAGENET_MEAN, std=IMAGENET_STD, **metadata):
    """Write a state dict, its weight matrices and kernels in fp16, the rest unchanged.

    The header holds what ``companion.zoo.load_machine`` needs: architecture, categories, mean and
    std, and input_size if the machine resizes its input.
    """
    state = {
        key: (value.half() if value.ndim > 1 else value).contiguous().cpu()
        for key, value in model.state_dict().items()
    }
    metadata |= {"mean": mean, "std": std}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    save_file(state, path, texts)


@torch.no_grad()
def accuracy(model: nn.Module, batches, bf16=True):
    """Return the top-1 accuracy over (inputs, labels) batches."""
    model.eval()
    right = 0
    count = 0
    for inputs, labels in batches:
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=bf16):
            answer = model(inputs.to(DEVICE)).argmax(1).cpu()
        right += (answer == labels).sum().item()
        count += len(labels)
    return right / count
