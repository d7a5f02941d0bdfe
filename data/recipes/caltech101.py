"""Train the bundled classifier: GoogLeNet on Caltech-101.

    python data/recipes/caltech101.py --data 101_ObjectCategories/ --start trunk.safetensors

Resumable: run the same command again after an interruption. The model card is
data/weights/googlenet_caltech101.md.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision.transforms import v2
from training import accuracy, fit, normalised, save_weights

from jnd import load_machine

SHORT_SIDE = 176
STAGES = [(128, 18), (176, 7)]  # crop size in pixels, epochs
BATCH = 64
HELD_OUT = 0.15


def read(folder):
    """-> photos as uint8 (3, H, W) with a short side of 176, labels, categories, held-out mask."""
    classes = sorted(
        p for p in Path(folder).iterdir() if p.is_dir() and p.name != "BACKGROUND_Google"
    )
    photos, labels, held_out = [], [], []
    for label, directory in enumerate(classes):
        files = sorted(directory.glob("*.jpg"))
        order = torch.randperm(len(files), generator=torch.Generator().manual_seed(label))
        chosen = set(order[: round(HELD_OUT * len(files))].tolist())
        for i, file in enumerate(files):
            photo = torch.from_numpy(np.array(Image.open(file).convert("RGB")))
            photos.append(v2.functional.resize(photo.permute(2, 0, 1), SHORT_SIDE).contiguous())
            labels.append(label)
            held_out.append(i in chosen)
    return photos, torch.tensor(labels), [c.name for c in classes], torch.tensor(held_out)


class Photos(torch.utils.data.Dataset):
    def __init__(self, photos, labels, transform):
        self.photos, self.labels, self.transform = photos, labels, transform

    def __len__(self):
        return len(self.photos)

    def __getitem__(self, i):
        return self.transform(self.photos[i]), self.labels[i]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder 101_ObjectCategories")
    parser.add_argument("--start", help="safetensors file whose trunk to start from")
    parser.add_argument("--out", default="data/weights/googlenet_caltech101.safetensors")
    parser.add_argument("--checkpoint", default="results/caltech101.pt")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    Path(args.checkpoint).parent.mkdir(parents=True, exist_ok=True)

    photos, labels, categories, held_out = read(args.data)
    train = [i for i in range(len(photos)) if not held_out[i]]
    test = [i for i in range(len(photos)) if held_out[i]]
    model = torchvision.models.googlenet(
        num_classes=len(categories), aux_logits=False, init_weights=True
    )
    if args.start:
        trunk = {k: v.float() for k, v in load_file(args.start).items() if not k.startswith("fc.")}
        model.load_state_dict(trunk, strict=False)

    sizes = [size for size, epochs in STAGES for _ in range(epochs)]

    def held_out_batches(size):
        """Central squares in pixels; enlarged where they are larger than the photos."""
        crop = v2.Compose([v2.Resize(max(size, SHORT_SIDE)), v2.CenterCrop(size)])
        return torch.utils.data.DataLoader(
            Photos([photos[i] for i in test], labels[test], crop), batch_size=128
        )

    test_batches = [(normalised(x), y) for x, y in held_out_batches(STAGES[-1][0])]

    def batches(epoch):
        augment = v2.Compose(
            [
                v2.RandomResizedCrop(sizes[epoch], scale=(0.3, 1.0), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.3, 0.3, 0.3),
            ]
        )
        loader = torch.utils.data.DataLoader(
            Photos([photos[i] for i in train], labels[train], augment),
            batch_size=BATCH,
            shuffle=True,
            drop_last=True,
            num_workers=1,
            generator=torch.Generator().manual_seed(1000 * args.seed + epoch),
        )
        for x, y in loader:
            yield normalised(x), y

    best = fit(
        model,
        batches,
        len(sizes),
        checkpoint=args.checkpoint,
        max_lr=0.05,
        evaluate=lambda net: accuracy(net, test_batches, args.device),
        steps_per_epoch=len(train) // BATCH,
        seed=args.seed,
        device=args.device,
    )
    save_weights(best, args.out, architecture="googlenet", categories=categories)

    machine = load_machine("googlenet", args.out, args.device)  # as the notebooks use it
    print(f"{args.out}: {len(train)} photos for training, {len(test)} held out")
    for size in (160, 176, 224):
        right = accuracy(
            machine, ((x.float(), y) for x, y in held_out_batches(size)), args.device, bf16=False
        )
        print(f"top-1 on the held-out photos at {size} px: {right:.4f}")


if __name__ == "__main__":
    main()
