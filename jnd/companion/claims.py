"""The paper's claims (data/paper.yaml) against what the notebooks measured: the verdicts.

``python -m jnd.companion.claims results/PROFILE`` writes ``claims.json`` there and fails when a
verdict is not the one that data/verdicts.yaml announces.
"""

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from jnd.studies.statistics import joint_interval
from jnd.support.checkout import read_data
from jnd.support.files import write_atomically

CHECK = re.compile(r"(?P<left>.+) (?P<sign>[<=>]) (?P<right>\S+)(?: ± (?P<tolerance>\S+))?")


UNTESTED = "not tested here"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        id: of the claim.
        verdict: ``"holds"`` where every check holds, ``"partly"`` where some do, ``"does not
            hold"`` where none does, ``"unclear"`` where none fails and the photos are too few or
            too different to tell, ``"not tested here"`` where this profile cannot decide.
        held, checked: numbers of checks; a list counts as many as it has entries.
        measured: place in the results -> what stands there.
        why: of ``"not tested here"``.
    """

    id: str
    verdict: str
    held: int = 0
    checked: int = 0
    measured: Mapping[str, Any] | None = None
    why: str | None = None


def judge(claim: Mapping[str, Any], metrics: Mapping[str, Any], profile: str) -> Verdict:
    """The verdict on one claim.

    Args:
        claim: entry of ``claims`` in data/paper.yaml.
        metrics: notebook -> its metrics.json.
        profile: whose results these are.

    Raises:
        ValueError: a check is not understood or names a place that is not there.
    """
    if not claim.get("checks"):
        return Verdict(claim["id"], UNTESTED, why=claim["why"])
    measured: dict[str, Any] = {}
    outcomes: list[bool | None] = []
    for check in claim["checks"]:
        parts = CHECK.fullmatch(check)
        if not parts:
            raise ValueError(f"claim {claim['id']}: cannot read the check {check!r}")
        sides = parts["left"], parts["right"]
        places = [side for side in sides if side[0].isalpha()]
        for notebook in {place.split(".")[0] for place in places} - metrics.keys():
            why = f"the notebook {notebook} has no results in the profile {profile}"
            return Verdict(claim["id"], UNTESTED, why=why)
        measured |= {place: _value(place, metrics) for place in places}
        left, right = (measured[side] if side in places else float(side) for side in sides)
        tolerance = float(parts["tolerance"] or 0)
        by_photo = claim["kind"] in {"order", "visual"}
        if isinstance(left, Mapping):
            outcomes.append(_of_interval(left, parts["sign"], right, tolerance))
        elif by_photo and isinstance(left, list) and isinstance(right, list):
            together = len(claim["checks"])
            outcomes.append(_in_the_mean(left, parts["sign"], right, tolerance, together))
        else:
            outcomes += _outcomes(left, parts["sign"], right, tolerance)
    # the printed numbers are of the paper's own machine and photos: no other can refute them
    only = claim.get("only", ["paper"] if claim["kind"] == "number" else [profile])
    if profile not in only:
        why = claim.get("why", f"only the profile {only[0]} can tell")
        return Verdict(claim["id"], UNTESTED, measured=measured, why=why)
    held = outcomes.count(True)
    verdict = {len(outcomes): "holds", 0: "does not hold"}.get(held, "partly")
    if None in outcomes and False not in outcomes:
        verdict = "unclear"
    return Verdict(claim["id"], verdict, held, len(outcomes), measured)


def judge_all(results: Path) -> list[Verdict]:
    """The verdicts of a profile, given its folder in results/."""
    metrics = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in results.glob("*/metrics.json")
    }
    return [judge(claim, metrics, results.name) for claim in read_data("paper")["claims"]]


def unannounced(verdicts: list[Verdict], profile: str) -> list[str]:
    """What differs from data/verdicts.yaml, one line each; nothing where it has no such profile."""
    announced = read_data("verdicts").get(profile)
    if announced is None:
        return []
    return [
        f"{v.id}: announced {announced.get(v.id, 'nothing')}, found {v.verdict} "
        f"({v.held} of {v.checked} checks)"
        for v in verdicts
        if announced.get(v.id) != v.verdict
    ]


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


def _outcomes(left: Any, sign: str, right: Any, tolerance: float) -> list[bool]:
    """One for each entry; a value that is missing (null) holds nothing."""
    if isinstance(left, list):
        rights = right if isinstance(right, list) else [right] * len(left)
        pairs = zip(left, rights, strict=True)
        return [held for pair in pairs for held in _outcomes(pair[0], sign, pair[1], tolerance)]
    if left is None or right is None:
        return [False]
    if sign == "=":
        return [abs(left - right) <= tolerance]
    return [left - right > -tolerance if sign == ">" else left - right < tolerance]


def _in_the_mean(
    left: list, sign: str, right: list, tolerance: float, together: int
) -> bool | None:
    """Of paired photos: whether the interval of the mean difference lies on one side of 0.

    None where it holds 0. It is wide enough for as many checks as are judged together.
    """
    pairs = [torch.tensor([math.nan if v is None else v for v in side]) for side in (left, right)]
    lead = pairs[0].double() - pairs[1].double()
    return _of_interval(asdict(joint_interval(lead, together)), sign, 0.0, tolerance)


def _of_interval(
    found: Mapping[str, float | None], sign: str, right: float, tolerance: float
) -> bool | None:
    """Of a mean's 95 % interval, ``low`` to ``high``: whether all of it lies where it should.

    False where none of it does, else None, also where too few values have no interval. With ``=``
    that is within the tolerance: two one-sided tests at 2.5 %, which tell equal from not known.
    D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987, doi:10.1007/BF01068419.
    """
    if found["low"] is None or found["high"] is None:  # as metrics.json has what is not finite
        return None
    low, high = found["low"] - right, found["high"] - right
    if sign == "=":
        inside, outside = (
            -tolerance < low and high < tolerance,
            low > tolerance or high < -tolerance,
        )
    elif sign == ">":
        inside, outside = low > -tolerance, high < -tolerance
    else:
        inside, outside = high < tolerance, low > tolerance
    return True if inside else False if outside else None


def main(results: Path) -> None:
    verdicts = judge_all(results)
    content = json.dumps([asdict(v) for v in verdicts], indent=1)
    write_atomically(results / "claims.json", content.encode())
    if changes := unannounced(verdicts, results.name):
        sys.exit(
            "verdicts have changed; if they should, say so in data/verdicts.yaml:\n"
            + "\n".join(changes)
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
