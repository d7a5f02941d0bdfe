"""Find the JND of photos: python -m companion photo.jpg

For each photo it prints the machine's answers, K and JND, and saves the picture that fools and a
figure beside it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from companion.files import printable, short_name, writable_folder
from companion.folder import Parameters, check, default_parameters, descend, save_picture
from companion.photos import load_photos
from companion.progress import Bar
from companion.style import CHANGES, draw_map, draw_picture, panels, styled
from companion.zoo import load_machine
from jnd.machine import Machine
from jnd.trajectory import Recording


@styled
def before_and_after(x0: Tensor, picture: Tensor, answers: Sequence[str]) -> Figure:
    """The original and the picture that fools, each below M's answer for it, and the change.

    Args:
        x0, picture: (3, H, W), grey levels.
        answers: for both.
    """
    figure, axes = panels(1, 3, 2.4)
    for axis, image, answer in zip(axes[0], (x0, picture), answers, strict=False):
        draw_picture(axis, image)
        axis.set_title(answer)
    change = (picture - x0).mean(0).cpu()
    reach = change.abs().max().item() or 1.0  # few pixels of a picture may differ at all
    draw_map(axes[0, 2], change, cmap=CHANGES, vmin=-reach, vmax=reach)
    axes[0, 2].set_title("change")
    return figure


def show(photo: str, parameters: Parameters, machine: Machine, output: Path) -> None:
    """Print what a photo gives, and save its picture and its figure."""
    pixels, _ = load_photos([photo], parameters.size)
    x0 = pixels.to(machine.mean.device)
    bar = Bar(printable(photo))

    def look(recording: Recording) -> None:
        bar.show(recording.k, recording.max_iter)

    try:
        (row,), pictures = descend(parameters, machine, x0, watch=[look])
    finally:
        bar.close()
    if "error" in row:
        raise ValueError(f"the descent {row['error']}: try a smaller --alpha")
    before, after = machine.answers(x0) + machine.answers(pictures)
    updates = f"in {parameters.max_iter} updates"
    print(printable(photo))
    print(f"  answer          {before}")
    print(f"  new answer      {after or f'the same for every picture {updates}'}")
    print(f"  K               {row['K'] if row['K'] >= 0 else f'none {updates}'}")
    if row["K"] >= 0:
        print(f"  JND             {row['jnd']:.3g}")
    name = Path(photo).name
    path = save_picture(output, name, pictures[0])
    if path:
        print(f"  K of a picture  {row['K_8bit']}, JND {row['jnd_8bit']:.3g}")
        figure = path.with_name(short_name(name, ".figure.png"))
        before_and_after(x0[0], pictures[0], (before, after)).savefig(figure)
        print(f"  saved           {printable(str(path))}, {printable(str(figure))}")


def main() -> None:
    defaults = default_parameters()
    parser = argparse.ArgumentParser(
        "python -m companion",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("photos", nargs="+", metavar="photo", help="a file, JPEG or PNG")
    parser.add_argument("--machine", default=defaults.machine, help="any torchvision classifier")
    parser.add_argument(
        "--weights", default=defaults.weights, help='"bundled", "official" or a safetensors file'
    )
    parser.add_argument(
        "--size", type=int, default=defaults.size, help="side of the square, pixels"
    )
    parser.add_argument("--alpha", type=float, default=defaults.alpha, help="learning rate")
    parser.add_argument("--output", default=".", help="folder for the pictures")
    args = parser.parse_args()
    matplotlib.use("Agg")  # no window is opened
    names = [Path(photo).name for photo in args.photos]
    failed = 0
    try:
        if len({*names}) < len(names):
            raise ValueError("two photos have the same name: give each an --output of its own")
        output = writable_folder(args.output)
        weights = os.path.expanduser(args.weights)
        parameters = default_parameters(
            machine=args.machine, weights=weights, size=args.size, alpha=args.alpha
        )
        machine = load_machine(parameters.machine, parameters.weights)
        check(parameters, machine)
    except (OSError, ValueError) as error:
        sys.exit(printable(f"error: {error}"))
    for photo in args.photos:
        try:
            show(photo, parameters, machine, output)
        except Exception as error:  # whatever is wrong with one photo, the others go on
            print(printable(f"error: {photo}: {error or repr(error)}"), file=sys.stderr)
            failed += 1
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
