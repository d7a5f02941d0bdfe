"""What was found, in the README: Table I and five findings, from data/expected and data/measured.

``python book/_ext/readme.py`` writes them between the two marks; a test compares.
"""

import json
from typing import Any

import real_photos
from companion.checkout import ROOT, read_data, read_measured
from jnd.metrics import INT64_DB
from page_text import ARMS, number, table

README = ROOT / "README.md"
BEGIN = "<!-- what was found, by book/_ext/readme.py -->\n"
END = "<!-- end of what was found -->\n"
METRICS = {"PSNR": "PSNR", "UQI": "UQI", "SCC": "SCC", "VIF (early sewar)": "VIF"}
"""Our name of a metric -> the paper's."""


def expected(notebook: str) -> dict[str, Any]:
    path = ROOT / "data" / "expected" / "bundled" / f"{notebook}.json"
    return json.loads(path.read_text("utf-8"))


def table1(printed: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return Table I, the paper's columns and ours, in decibels for a peak of 255."""
    rows = []
    for metric, theirs in METRICS.items():
        digits = ".1f" if metric == "PSNR" else ".2f"
        row = {"": f"{theirs}, dB" if metric == "PSNR" else metric}
        for arm in ARMS.values():
            paper = printed[arm][theirs] - (INT64_DB if metric == "PSNR" else 0)
            row[f"paper, {arm}"] = number(paper, digits)
            row[f"ours, {arm}"] = number(ours[arm][metric], digits)
        rows.append(row)
    return table(rows)


def findings() -> str:
    """Return the text between the marks."""
    imagenet = expected("imagenet")
    at_K = imagenet["table1"]["jnd"]
    gap = expected("comparison")["gap"]["away from the label"]["x(K)"]
    real_gap = read_measured("comparison")["values"]["gap"]["away from the label"]["x(K)"]
    measured = {name: read_measured(name) for name in real_photos.SETUPS}
    ours = real_photos.printed_columns(imagenet["table1"])
    return f"""{BEGIN}
1. **A tiny change is enough.** {real_photos.flipped(imagenet)} packaged photos flip, after a change whose norm is {real_photos.mean_change(imagenet)} % of the photo's on average.
2. **At that moment regularisation hardly matters**: it changes the mean PSNR by at most {real_photos.largest_gain(measured)} dB on four networks ({number(at_K["full"]["PSNR"], ".1f")} dB with it and {number(at_K["none"]["PSNR"], ".1f")} without on the packaged photos). For photos that flip, it matters only beyond it.
3. **Two of the three penalties have no visible effect.** Only the squared distance holds the image back, and it can hold a photo so tightly that the network never notices.
4. ***x(K)* is not the least change, and saving it as a picture undoes it.** Its change is {number(gap, ".2f")} times the smallest change that six attacks find, {number(real_gap, ".2f")} times on ImageNet photos. Further along the same path, a picture fools.
5. **The 370 dB of the paper's Table I fit 38.8 dB** plus the 331.17 that a library adds for 64-bit integers. The value without regularisation can be met only by choosing where to stop.

Table I, with those 331.17 dB taken off the paper's PSNR. Ours *with* is the end of the run; ours *without* was stopped where its PSNR is about the paper's, so only its other rows can agree or disagree. VIF is that of sewar 0.4.1.

{table1(read_data("paper")["tables"]["table1"], ours)}

{END}"""  # noqa: E501


def filled(readme: str) -> str:
    """Return a README with what was found."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + findings() + after


if __name__ == "__main__":
    README.write_text(filled(README.read_text("utf-8")), "utf-8")
