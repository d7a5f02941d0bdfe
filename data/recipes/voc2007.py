"""Train the bundled detector: RetinaNet on a GoogLeNet trunk, on Pascal VOC 2007.

    python data/recipes/voc2007.py --data VOC2007/ --start trunk.safetensors

Needs torchmetrics (tests/requirements.lock) for the average precision. Resumable: run the same
command again after an interruption. The model card is data/weights/retinanet_voc2007.md.
"""

import argparse
import xml.etree.ElementTree
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import DataLoader, WeightedRandomSampler
from torchmetrics.detection import MeanAveragePrecision
from torchvision import tv_tensors
from torchvision.models.detection.image_list import ImageList
from torchvision.transforms import v2

from companion.zoo import load_detector, retinanet_googlenet_fpn
from training import DEVICE, fit, normalised, save_weights

CATEGORIES = ["aeroplane", "bicycle", "boat", "bus", "car", "motorbike", "person", "train"]
CAR = CATEGORIES.index("car")
LONG_SIDE = 352  # of the photos that are read
SIZE = 320  # long side at which the detector works
STAGES = [(192, 16), (256, 8)]  # crop size in pixels, epochs
BATCH = 16
HELD_OUT = 0.15
FROZEN = ["conv1", "conv2", "conv3"]  # edges and colours are learnt already


def read(folder):
    """Read photos, uint8 (3, H, W) up to 352 px, boxes, and masks: has a car, is held out."""
    files = sorted(Path(folder, "Annotations").glob("*.xml"))
    photos = []
    targets = []
    for file in files:
        with Image.open(Path(folder, "JPEGImages", f"{file.stem}.jpg")) as image:
            image.thumbnail((LONG_SIDE, LONG_SIDE))
            photos.append(v2.functional.to_image(image.convert("RGB")))
        targets.append(read_boxes(file, photos[-1].shape[-2:]))
    held_out = torch.zeros(len(files), dtype=torch.bool)
    has_car = torch.tensor([(CAR == target["labels"]).any().item() for target in targets])
    for seed, group in enumerate((has_car, ~has_car)):
        members = group.nonzero().flatten()
        order = torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))
        held_out[members[order[: round(HELD_OUT * len(members))]]] = True
    return photos, targets, has_car, held_out


def read_boxes(file, size):
    """Read the objects of our categories in an annotation, in pixels of a photo of this (H, W)."""
    root = xml.etree.ElementTree.parse(file).getroot()
    scale = size[1] / float(root.findtext("size/width", ""))
    objects = [o for o in root.iter("object") if o.findtext("name") in CATEGORIES]
    sides = [f"bndbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
    places = [[scale * float(o.findtext(side, "")) for side in sides] for o in objects]
    boxes = torch.tensor(places, dtype=torch.float32).reshape(-1, 4)
    integers = partial(torch.tensor, dtype=torch.int64)
    return {
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size),
        "labels": integers([CATEGORIES.index(o.findtext("name", "")) for o in objects]),
        "difficult": integers([int(o.findtext("difficult", "")) for o in objects]),
    }


def detection_loss(model, inputs, targets):
    """RetinaNet's own loss; the network may run in bf16, the loss and the anchors never do."""
    features = [level.float() for level in model.backbone(inputs).values()]
    outputs = {key: value.float() for key, value in model.head(features).items()}
    images = ImageList(inputs, [tuple(inputs.shape[-2:])] * len(inputs))
    anchors = model.anchor_generator(images, features)
    return sum(model.compute_loss(targets, outputs, anchors).values())


@torch.no_grad()
def car_ap50(detect, photos, targets):
    """Return the average precision of cars at IoU 0.5; cars marked as difficult do not count.

    ``detect`` maps a photo (3, H, W) in 0..255 to its boxes, scores and labels.
    """
    metric = MeanAveragePrecision(iou_thresholds=[0.5])
    for photo, target in zip(photos, targets, strict=True):
        answer = detect(photo.to(DEVICE).float())
        cars = target["labels"] == CAR
        detected = answer["labels"] == CAR
        truth = {key: target[key][cars] for key in ("boxes", "labels")}
        truth["iscrowd"] = target["difficult"][cars]
        metric.update([{key: value[detected].cpu() for key, value in answer.items()}], [truth])
    return metric.compute()["map_50"].item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with JPEGImages and Annotations")
    parser.add_argument("--start", required=True, help="safetensors file of the GoogLeNet's trunk")
    parser.add_argument("--out", default="data/weights/retinanet_voc2007.safetensors")
    parser.add_argument("--checkpoint", default="results/voc2007.pt")
    args = parser.parse_args()
    torch.manual_seed(0)
    Path(args.checkpoint).parent.mkdir(parents=True, exist_ok=True)

    photos, targets, has_car, held_out = read(args.data)
    train = (~held_out).nonzero().flatten().tolist()
    test = held_out.nonzero().flatten().tolist()
    model = retinanet_googlenet_fpn(len(CATEGORIES), SIZE)
    trunk = {k: v.float() for k, v in load_file(args.start).items() if not k.startswith("fc.")}
    model.backbone.body.load_state_dict(trunk)
    for name in FROZEN:
        model.backbone.body[name].requires_grad_(False)

    sizes = [size for size, epochs in STAGES for _ in range(epochs)]

    def labels(sample):
        return sample[1]["labels"], sample[1]["difficult"]

    def batches(epoch):
        augment = v2.Compose(
            [
                v2.RandomResizedCrop(sizes[epoch], scale=(0.3, 1.0), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.3, 0.3, 0.3),
                v2.SanitizeBoundingBoxes(min_size=6, labels_getter=labels),
            ]
        )

        def batch(samples):
            augmented, boxes = zip(*(augment(*sample) for sample in samples), strict=True)
            return normalised(torch.stack(augmented)), list(boxes)

        generator = torch.Generator().manual_seed(epoch)
        weights = [2.0 if has_car[i] else 1.0 for i in train]
        return DataLoader(
            [(photos[i], targets[i]) for i in train],
            batch_size=BATCH,
            sampler=WeightedRandomSampler(weights, len(train), generator=generator),
            drop_last=True,
            num_workers=1,
            generator=generator,
            collate_fn=batch,
        )

    def evaluate(detect, stride=1):
        chosen = test[::stride]
        pictures = [photos[i] for i in chosen]
        return car_ap50(detect, pictures, [targets[i] for i in chosen])

    best = fit(
        model,
        batches,
        len(sizes),
        checkpoint=args.checkpoint,
        max_lr=5e-4,
        loss=detection_loss,
        optimiser=torch.optim.AdamW,
        weight_decay=0.05,
        ema=0.998,
        evaluate=lambda net: evaluate(lambda photo: net.eval()([photo / 255])[0], stride=5),
        steps_per_epoch=len(train) // BATCH,
    )
    name = "retinanet_googlenet_fpn"
    save_weights(best, args.out, architecture=name, categories=CATEGORIES, size=str(SIZE))

    # as the notebooks use it
    detector = load_detector(name, args.out, DEVICE)
    transform = detector.network.transform
    print(f"{args.out}: {len(train)} photos for training, {len(test)} held out")
    for size in (256, 320, 384):
        transform.min_size, transform.max_size = (size,), size
        ap50 = evaluate(lambda photo: detector(photo[None]).detections()[0])
        print(f"AP50 of cars on the held-out photos at a long side of {size} px: {ap50:.4f}")


if __name__ == "__main__":
    main()
