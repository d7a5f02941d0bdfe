"""Check an archive and compute again what can be: python book/ledger/verify.py FILE, make verify

Prints what the paper printed, what was predicted and what their run gave, with all that differs.
Nothing in the archive is executed. ``--accept NAME`` keeps the numbers, without images, as
data/replications/NAME.json, a row of the ledger.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archive import facts_of, image_hash
from companion.checkout import data_folder, read_data
from companion.files import sha256, write_atomically
from companion.parameters import profile_parameters
from companion.provenance import plain
from recompute import answers, load_images, photos_at_hand, values_of_changes, values_of_images
from unpack import WITH_IMAGES, Refused, read_json, unpack

sys.path.insert(0, str(Path(__file__).parents[1] / "_ext"))
from claims import THIS_RUN, Verdict, judge_all
from ledger_page import measured_numbers, numbers_table, printed_numbers
from prediction import CONFIDENCE, JND

# beginnings of the names of numbers that no image tells
NOT_RECOMPUTED = ("K, ", "flow time", CONFIDENCE, "pictures of x(K)", "JND(M), times", "Fig. 3")
# numbers from the same pixels agree to rounding: our choice
RELATIVE = 1e-5
ABSOLUTE = 1e-7


@dataclass
class Report:
    """What was checked of a run.

    Attributes:
        differences: what is not as its sender has it, a sentence each.
        notes: what could not be checked, a sentence each.
        numbers, recomputed: numbers in all metrics.json, and how many the images gave again.
        measured: notebooks whose images have an x(0).
        answers: whether the machines gave each of theirs again.
        verdicts: on every claim, by their numbers.
    """

    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: int = 0
    recomputed: int = 0
    measured: list[str] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def extent(self) -> str:
        return (
            f"{self.recomputed} of {self.numbers} numbers from the images; "
            f"{sum(self.answers)} of {len(self.answers)} answers by the machines"
        )


def verify(results: Path, metrics: Mapping[str, Any]) -> Report:
    """Check the unpacked results of a run, given its metrics.json by notebook."""
    report = Report()
    report.numbers = sum(len([*leaves(content["values"])]) for content in metrics.values())
    hashes = read_json(results / "run.json")["x0_sha256"]
    for notebook, content in metrics.items():
        parameters = profile_parameters(notebook, results.name)
        check_parameters(report, notebook, content["provenance"]["parameters"], parameters)
        if notebook in WITH_IMAGES:
            check_images(report, results / notebook, content, parameters, hashes[notebook])
    report.verdicts = judge_all(results)
    theirs = read_json(results / "claims.json")
    for ours in report.verdicts:
        word = theirs.get(ours.id)
        if word != ours.verdict:
            report.differences.append(
                f"claim {ours.id}: they say {word}, their numbers say {ours.verdict}"
            )
    return report


def check_parameters(report: Report, notebook: str, theirs: Mapping, ours: Mapping) -> None:
    for name, value in ours.items():
        if name != "output" and theirs.get(name) != value:
            report.differences.append(
                f"{notebook}: {name} was {theirs.get(name)}, and in the profile it is {value}"
            )


def check_images(
    report: Report,
    folder: Path,
    metrics: Mapping[str, Any],
    parameters: Mapping[str, Any],
    hashes: Sequence[str],
) -> None:
    """Measure the images in a notebook's folder and show them to its machine."""
    notebook = folder.name
    values = metrics["values"]
    photos = photos_at_hand(notebook, parameters)
    if not photos:
        report.notes.append(f"{notebook}: its photos are not at hand to be compared with x(0)")
    elif not photos.keys() >= {*hashes}:
        report.differences.append(f"{notebook}: x(0) is not the registered photo")
        return
    changes, norm, images = load_images(folder / "images.safetensors", photos, hashes)
    compare(report, notebook, values_of_changes(changes, norm), values)
    if not images:
        return
    if [image_hash(image) for image in images["x0"]] != hashes:
        report.differences.append(f"{notebook}: x0 has not the hashes in run.json")
    report.measured.append(notebook)
    compare(report, notebook, values_of_images(notebook, images), values)
    weights = metrics["provenance"]["machine_sha256"]
    same = answers(notebook, parameters, weights, images, values)
    report.answers += same
    if not same:
        report.notes.append(f"{notebook}: no machine was asked; its weights are not at hand here")


def compare(report: Report, notebook: str, recomputed: Any, theirs: Any) -> None:
    """Note the recomputed numbers that are not those of metrics.json."""
    numbers = dict(leaves(theirs))
    for place, value in leaves(plain(recomputed)):
        report.recomputed += 1
        if place not in numbers or not same_number(value, numbers[place]):
            report.differences.append(
                f"{notebook}{place}: they have {numbers.get(place)}, their images give {value}"
            )


def leaves(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Return every number in nested dicts and lists with its place, such as ".arms.full.jnd.0"."""
    if isinstance(tree, Mapping | list):
        items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        for key, value in items:
            yield from leaves(value, f"{place}.{key}")
    elif not isinstance(tree, str):
        yield place, tree


def same_number(value: float | None, other: float | None) -> bool:
    if value is None or other is None:
        return value is other
    return math.isclose(value, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def comparison_table(report: Report, metrics: Mapping[str, Any]) -> str:
    """Return *printed, predicted, theirs*, and whether their images gave it again."""
    theirs = measured_numbers(metrics)
    words = dict.fromkeys(theirs, "not recomputed")
    for name in theirs:
        if name == JND or "imagenet" in report.measured and not name.startswith(NOT_RECOMPUTED):
            words[name] = "yes"
    predicted: Any = read_data("prediction")
    columns: dict[str, Mapping[str, Any]] = {"theirs": theirs, "recomputed": words}
    printed = printed_numbers(read_data("paper"))
    return numbers_table(printed, predicted[0]["interval"], columns)


def in_this_run(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what their run alone gave for each claim, with the checks by which it was judged."""
    checks = {claim["id"]: claim.get("checks") for claim in read_data("paper")["claims"]}
    kept = {}
    for verdict in verdicts:
        for setup in verdict.setups:
            if setup.setup == THIS_RUN:
                kept[verdict.id] = {"checks": checks[verdict.id]} | asdict(setup)
    return kept


def keep(name: str, archive: Path, report: Report, profile: str, metrics: Mapping) -> Path:
    """Write the numbers of an accepted run, without images, for the ledger."""
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        raise Refused(f"{name!r} has more than letters, digits, - and _; choose another ACCEPT")
    content = {
        "name": name,
        "profile": profile,
        "archive_sha256": sha256(archive),
        **facts_of(metrics),
        "verified": report.extent(),
        "numbers": measured_numbers(metrics),
        "claims": in_this_run(report.verdicts),
    }
    path = data_folder() / "replications" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--accept", metavar="NAME", help="keep its numbers for the ledger")
    args = parser.parse_args()
    try:
        with TemporaryDirectory() as folder:
            results = unpack(args.archive, Path(folder))
            metrics = {path.parent.name: read_json(path) for path in results.glob("*/metrics.json")}
            report = verify(results, metrics)
        print(comparison_table(report, metrics))
        extent = f"{report.extent()}; all else is not recomputed"
        print("\n".join(["", extent, *report.notes]), flush=True)
        if report.differences:
            sys.exit("\n".join(["What differs:", *report.differences]))
        if args.accept:
            kept = keep(args.accept, args.archive, report, results.name, metrics)
            print(f"Kept as {kept}; commit it, and the ledger has a row more")
    except (Refused, OSError) as error:
        sys.exit(f"refused: {error}")
    except Exception as error:  # whatever a stranger's numbers lead to
        sys.exit(f"refused: its numbers cannot be judged ({error!r}); run the notebooks again")


if __name__ == "__main__":
    main()
