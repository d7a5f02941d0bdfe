"""The paper's claims (data/paper.yaml) against what the notebooks measured: the verdicts.

``python book/_ext/claims.py results/PROFILE`` writes ``claims.json`` there and fails if a verdict
is not the one that data/verdicts.yaml announces.
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

from companion.checkout import read_data
from companion.files import write_atomically
from companion.statistics import joint_interval

CHECK = re.compile(r"(?P<left>.+) (?P<sign>[<=>]) (?P<right>\S+)(?: ± (?P<tolerance>\S+))?")
UNTESTED = "not tested here"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one claim.

    Attributes:
        id: of the claim.
        verdict: ``"holds"`` where every check holds, ``"partly"`` where some do, ``"does not
            hold"`` where none does, ``"unclear"`` where none fails and the photos are too few or
            too different to tell, ``"not tested here"`` where this profile cannot decide.
        held, checked: numbers of checks; a list counts as many as it has entries.
        measured: place in the results -> the value there.
        why: the reason for ``"not tested here"``.
    """

    id: str
    verdict: str
    held: int = 0
    checked: int = 0
    measured: Mapping[str, Any] | None = None
    why: str | None = None


def judge(claim: Mapping[str, Any], metrics: Mapping[str, Any], profile: str) -> Verdict:
    """Return the verdict on one claim.

    Args:
        claim: entry of ``claims`` in data/paper.yaml.
        metrics: notebook -> its metrics.json.
        profile: of these results.

    Raises:
        ValueError: a check cannot be read or names a place that does not exist.
    """
    if not claim.get("checks"):
        return Verdict(claim["id"], UNTESTED, why=claim["why"])
    checks = [_parsed(check, claim["id"]) for check in claim["checks"]]
    sides = [side for check in checks for side in (check["left"], check["right"])]
    places = [side for side in sides if side[0].isalpha()]
    for notebook in (place.split(".")[0] for place in places):
        if notebook not in metrics:
            why = f"the notebook {notebook} has no results in the profile {profile}"
            return Verdict(claim["id"], UNTESTED, why=why)
    measured = {place: _value(place, metrics) for place in places}

    # the printed numbers are of the paper's own machine and photos: no other can refute them
    only = claim.get("only", ["paper"] if claim["kind"] == "number" else [profile])
    if profile not in only:
        why = claim.get("why", f"only the profile {only[0]} can tell")
        return Verdict(claim["id"], UNTESTED, measured=measured, why=why)

    paired = claim["kind"] in {"order", "visual"}
    outcomes: list[bool | None] = []
    for check in checks:
        left, right = (
            measured[side] if side in measured else float(side)
            for side in (check["left"], check["right"])
        )
        sign = check["sign"]
        tolerance = float(check["tolerance"] or 0)
        if isinstance(left, Mapping):
            outcomes.append(_interval_outcome(left, sign, right, tolerance))
        elif paired and isinstance(left, list) and isinstance(right, list):
            lead = joint_interval(_differences(left, right), len(checks))
            outcomes.append(_interval_outcome(asdict(lead), sign, 0.0, tolerance))
        else:
            outcomes += _entry_outcomes(left, sign, right, tolerance)
    held = outcomes.count(True)
    verdict = {len(outcomes): "holds", 0: "does not hold"}.get(held, "partly")
    if None in outcomes and False not in outcomes:
        verdict = "unclear"
    return Verdict(claim["id"], verdict, held, len(outcomes), measured)


def judge_all(results: Path) -> list[Verdict]:
    """Return the verdicts of a profile, given its folder in results/."""
    metrics = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in results.glob("*/metrics.json")
    }
    return [judge(claim, metrics, results.name) for claim in read_data("paper")["claims"]]


def unannounced(verdicts: list[Verdict], profile: str) -> list[str]:
    """List what differs from data/verdicts.yaml; nothing if it lacks the profile."""
    announced = read_data("verdicts").get(profile)
    if announced is None:
        return []
    return [
        f"{v.id}: announced {announced.get(v.id, 'nothing')}, found {v.verdict} "
        f"({v.held} of {v.checked} checks)"
        for v in verdicts
        if announced.get(v.id) != v.verdict
    ]


def _parsed(check: str, claim: str) -> dict[str, str]:
    parts = CHECK.fullmatch(check)
    if not parts:
        raise ValueError(f"claim {claim}: cannot read the check {check!r}")
    return parts.groupdict()


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


def _entry_outcomes(left: Any, sign: str, right: Any, tolerance: float) -> list[bool]:
    """Return one outcome per entry; a missing value (null) fails every check."""
    if isinstance(left, list):
        rights = right if isinstance(right, list) else [right] * len(left)
        outcomes = []
        for one, other in zip(left, rights, strict=True):
            outcomes += _entry_outcomes(one, sign, other, tolerance)
        return outcomes
    if left is None or right is None:
        return [False]
    if sign == "=":
        return [abs(left - right) <= tolerance]
    return [left - right > -tolerance if sign == ">" else left - right < tolerance]


def _differences(left: list, right: list) -> torch.Tensor:
    """Return left − right, photo by photo; NaN where a value is missing."""
    pairs = [torch.tensor([math.nan if v is None else v for v in side]) for side in (left, right)]
    return pairs[0].double() - pairs[1].double()


def _interval_outcome(
    interval: Mapping[str, float | None], sign: str, right: float, tolerance: float
) -> bool | None:
    """Compare a mean's 95 % interval, ``low`` to ``high``, with a number.

    True if all of it lies where it should, False if none of it does, else None, also where too few
    values have no interval. With ``=`` that is within the tolerance: two one-sided tests at 2.5 %,
    which tell equal from not known. D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15,
    1987, doi:10.1007/BF01068419.
    """
    if interval["low"] is None or interval["high"] is None:  # null: not finite
        return None
    low = interval["low"] - right
    high = interval["high"] - right
    above = low > -tolerance
    below = high < tolerance
    if sign == "=":
        inside = above and below
        outside = low > tolerance or high < -tolerance
    elif sign == ">":
        inside = above
        outside = high < -tolerance
    else:
        inside = below
        outside = low > tolerance
    return True if inside else False if outside else None


def main(results: Path) -> None:
    verdicts = judge_all(results)
    content = json.dumps([asdict(v) for v in verdicts], indent=1)
    write_atomically(results / "claims.json", content.encode())
    changes = unannounced(verdicts, results.name)
    if changes:
        sys.exit(
            "verdicts have changed; if they should, say so in data/verdicts.yaml:\n"
            + "\n".join(changes)
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
