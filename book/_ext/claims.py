"""The paper's claims (data/paper.yaml) against what the notebooks measured: the verdicts.

``python book/_ext/claims.py results/PROFILE`` writes ``claims.json`` there and prints each verdict
that is not the one in data/verdicts.yaml. It does not fail: a long run in large steps can end
elsewhere on another machine, or with another number of threads.
"""

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from companion.checkout import read_data, read_measured
from companion.files import write_json
from intervals import independent_interval, joint_interval

CHECK = re.compile(
    r"(?P<left>.+) (?P<sign>[<=>]) (?P<right>.+?)"
    r"(?: \+ (?P<margin>\S+))?(?: ± (?P<tolerance>\S+))?"
)
UNTESTED = "not tested here"
THIS_RUN = "this run"
REAL = "real images, the bundled machines"
# set-up -> notebook -> file of data/measured
ELSEWHERE = {
    REAL: {
        "imagenet": "imagenet_lite0",
        "cifar10": "cifar10",
        "detection": "detection",
        "pictures": "pictures",
        "comparison": "comparison",
    },
    "real photos, EfficientNet-Lite1": {"imagenet": "imagenet_lite1"},
    "real photos, EfficientNet-Lite2": {"imagenet": "imagenet_lite2"},
    "real photos, ResNet-18": {"imagenet": "imagenet_resnet18"},
}
Setups = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class InSetup:
    """What a claim's checks gave in one set-up.

    Attributes:
        setup: its title.
        verdict: on this set-up alone; ``"not tested here"`` where it cannot decide.
        held, checked: numbers of checks; a list counts as many as it has entries.
        measured: place in the results -> the value there.
    """

    setup: str
    verdict: str
    held: int
    checked: int
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one claim, over all set-ups in which it can be judged.

    Attributes:
        id: of the claim.
        verdict: ``"holds"`` where every check holds, ``"partly"`` where some do, ``"does not
            hold"`` where none does, ``"unclear"`` where none fails and the photos are too few or
            too different to tell, ``"by definition"``, or ``"not tested here"``.
        held, checked: numbers of checks in all set-ups that decide.
        setups: what each set-up gave, this run first.
        why: the reason where nothing was checked.
    """

    id: str
    verdict: str
    held: int = 0
    checked: int = 0
    setups: Sequence[InSetup] = ()
    why: str | None = None


def judge(claim: Mapping[str, Any], setups: Setups, profile: str) -> Verdict:
    """Return the verdict on one claim.

    Args:
        claim: entry of ``claims`` in data/paper.yaml.
        setups: title of a set-up -> notebook -> its metrics.json, this run first.
        profile: of this run.

    Raises:
        ValueError: a check cannot be read or names a place that does not exist.
    """
    if not claim.get("checks"):
        return Verdict(claim["id"], claim.get("verdict", UNTESTED), why=claim["why"])
    checks = [parse_check(check, claim["id"]) for check in claim["checks"]]
    # the printed numbers are of the paper's own machine and photos: no other can refute them
    default = ["paper"] if claim["kind"] == "number" else [profile, "measured"]
    deciding = claim.get("only", default)
    results = []
    all_outcomes: list[bool | None] = []
    for title, metrics in setups.items():
        here = [check for check in checks if _answers(check, metrics, title)]
        if not here:
            continue
        places = [place for check in here for place in places_in(check)]
        measured = {place: _value(place, metrics) for place in places}
        outcomes: list[bool | None] = []
        if (profile if title == THIS_RUN else "measured") in deciding:
            for check in here:
                outcomes += _outcomes(check, measured, claim, len(here))
        held = outcomes.count(True)
        results.append(InSetup(title, _word(outcomes), held, len(outcomes), measured))
        all_outcomes += outcomes
    why = None if all_outcomes else claim.get("why", f"only the profile {deciding[0]} can tell")
    held = all_outcomes.count(True)
    return Verdict(claim["id"], _word(all_outcomes), held, len(all_outcomes), results, why)


def judge_all(results: Path) -> list[Verdict]:
    """Return the verdicts of a profile, given its folder in results/."""
    this_run = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in results.glob("*/metrics.json")
    }
    setups = {THIS_RUN: this_run}
    for title, files in ELSEWHERE.items():
        setups[title] = {notebook: read_measured(file) for notebook, file in files.items()}
    return [judge(claim, setups, results.name) for claim in read_data("paper")["claims"]]


def unannounced(verdicts: list[Verdict], profile: str) -> list[str]:
    """List what differs from data/verdicts.yaml; nothing if it lacks the profile."""
    announced = read_data("verdicts").get(profile)
    if announced is None:
        return []
    return [
        f"{v.id}: announced {announced.get(v.id, 'nothing')}, but the verdict is {v.verdict} "
        f"({v.held} of {v.checked} checks)"
        for v in verdicts
        if announced.get(v.id) != v.verdict
    ]


def notebooks_of(claim: Mapping[str, Any]) -> set[str]:
    """Return the notebooks whose results decide a claim."""
    checks = [parse_check(check, claim["id"]) for check in claim.get("checks", ())]
    return {notebook for check in checks for notebook in _notebooks(check)}


def parse_check(check: str, claim: str) -> dict[str, str]:
    """Return the parts of a check: left, sign, right, margin, tolerance."""
    parts = CHECK.fullmatch(check)
    if not parts:
        raise ValueError(f"claim {claim}: cannot read the check {check!r}")
    return parts.groupdict()


def _answers(check: Mapping[str, str], metrics: Mapping[str, Any], setup: str) -> bool:
    """Whether a set-up has what a check compares; elsewhere not every arm has run to the end."""
    if not _notebooks(check) <= {*metrics}:
        return False
    try:
        for place in places_in(check):
            _value(place, metrics)
    except ValueError:
        if setup == THIS_RUN:
            raise
        return False
    return True


def places_in(check: Mapping[str, str]) -> list[str]:
    """Return the places in results that a check compares."""
    return [check[side] for side in ("left", "right") if check[side][0].isalpha()]


def _notebooks(check: Mapping[str, str]) -> set[str]:
    return {place.split(".")[0] for place in places_in(check)}


def _value(place: str, metrics: Mapping[str, Any]) -> Any:
    notebook, *keys = place.split(".")
    value = metrics[notebook]["values"]
    for key in keys:
        if isinstance(value, list):
            value = value[int(key)]
        elif key in value:
            value = value[key]
        else:
            raise ValueError(f"there is no {key} in {place}; there is {', '.join(value)}")
    return value


def _outcomes(
    check: Mapping[str, str], measured: Mapping[str, Any], claim: Mapping[str, Any], intervals: int
) -> list[bool | None]:
    """Return one outcome per entry, or one of an interval: True, False or None for unclear."""
    left, right = (
        measured[check[side]] if check[side] in measured else float(check[side])
        for side in ("left", "right")
    )
    sign = check["sign"]
    margin = float(check["margin"] or 0)
    tolerance = float(check["tolerance"] or 0)
    if claim["kind"] == "order" and isinstance(left, list):
        if sign == "=":  # all of a claim's have to lie within their margins: no correction
            intervals = 1
        if claim.get("unpaired"):
            lead = independent_interval(_numbers(left), _numbers(right), intervals)
        else:
            lead = joint_interval(_numbers(left) - _numbers(right), intervals)
        left, right = asdict(lead), 0.0
    if isinstance(left, Mapping):
        return [_interval_outcome(left, sign, right + margin, tolerance)]
    if check["left"].endswith(".K") and check["right"].endswith(".K"):
        left, right = _never_as_infinity(left), _never_as_infinity(right)
    outcomes = _entry_outcomes(left, sign, right, margin, tolerance)
    if claim.get("missing") == "fails":
        return [bool(outcome) for outcome in outcomes]
    return [outcome for outcome in outcomes if outcome is not None]


def _never_as_infinity(K: Any) -> list[float]:
    """Return a list of K with inf for -1: no number of updates suffices."""
    return [math.inf if k < 0 else k for k in K]


def _numbers(values: Any) -> torch.Tensor:
    """Return a list or a number as a tensor; NaN where a value is missing."""
    if isinstance(values, list):
        values = [math.nan if value is None else value for value in values]
    return torch.tensor(values, dtype=torch.float64)


def _entry_outcomes(
    left: Any, sign: str, right: Any, margin: float, tolerance: float
) -> list[bool | None]:
    """Return one outcome per entry, None where a value is missing (null)."""
    if isinstance(left, list):
        rights = right if isinstance(right, list) else [right] * len(left)
        outcomes: list[bool | None] = []
        for one, other in zip(left, rights, strict=True):
            outcomes += _entry_outcomes(one, sign, other, margin, tolerance)
        return outcomes
    if left is None or right is None:
        return [None]
    difference = left - right - margin
    if math.isnan(difference):  # of two infinities
        return [None]
    if sign == "=":
        return [abs(difference) <= tolerance]
    return [difference > -tolerance if sign == ">" else difference < tolerance]


def _interval_outcome(
    interval: Mapping[str, float | None], sign: str, right: float, tolerance: float
) -> bool | None:
    """Compare a mean's 95 % interval, ``low`` to ``high``, with a number.

    True if all of it lies where it should, False if none of it does, else None, also where too few
    values have no interval. With ``=`` that is within the tolerance: two one-sided tests at 2.5 %,
    which separate equal from not known. D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics
    15, 1987, doi:10.1007/BF01068419.
    """
    low = interval["low"]
    high = interval["high"]
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return None
    above = low - right > -tolerance
    below = high - right < tolerance
    wholly_above = low - right > tolerance
    wholly_below = high - right < -tolerance
    holds = {"=": above and below, ">": above, "<": below}[sign]
    fails = {"=": wholly_above or wholly_below, ">": wholly_below, "<": wholly_above}[sign]
    return True if holds else False if fails else None


def _word(outcomes: Sequence[bool | None]) -> str:
    if not outcomes:
        return UNTESTED
    held = outcomes.count(True)
    if held == len(outcomes):
        return "holds"
    if False not in outcomes:
        return "unclear"
    return "partly" if held else "does not hold"


def main(results: Path) -> None:
    verdicts = judge_all(results)
    write_json(results / "claims.json", [asdict(v) for v in verdicts])
    changes = unannounced(verdicts, results.name)
    if changes:
        print("Not as in data/verdicts.yaml:", *changes, sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
