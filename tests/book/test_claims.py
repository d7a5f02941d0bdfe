"""Verdicts on made-up results, and the paper's claims against what notebooks write."""

import json
import re

import pytest

from claims import Verdict, judge, judge_all, main, unannounced
from companion.checkout import read_data

METRICS = {
    "toy": {
        "values": {
            "K": [3, -1, 7],
            "fools": [True, False, True],
            "psnr": {"full": 40.2, "none": 38.0},
            "missing": None,
        }
    }
}


def verdict(*checks, **claim):
    return judge({"id": "x", "kind": "proportion", "checks": list(checks)} | claim, METRICS, "tiny")


@pytest.mark.parametrize(
    "check, held, checked, word",
    [
        ("toy.K > 0", 2, 3, "partly"),
        ("toy.K > -2", 3, 3, "holds"),
        ("toy.K.0 > 3", 0, 1, "does not hold"),
        ("toy.fools = 1", 2, 3, "partly"),
        ("toy.psnr.full > toy.psnr.none", 1, 1, "holds"),
        ("toy.psnr.full < toy.psnr.none", 0, 1, "does not hold"),
        ("toy.psnr.none > toy.psnr.full ± 3", 1, 1, "holds"),
        ("toy.psnr.full = 39 ± 1.3", 1, 1, "holds"),
        ("toy.psnr.full = 39 ± 1.1", 0, 1, "does not hold"),
        ("toy.missing > 0", 0, 1, "does not hold"),
        ("toy.K < toy.K ± 1", 3, 3, "holds"),
    ],
)
def test_checks(check, held, checked, word):
    judged = verdict(check)
    assert (judged.held, judged.checked, judged.verdict) == (held, checked, word)


def test_several_checks_count_together():
    judged = verdict("toy.K > 0", "toy.psnr.full > 41")
    assert (judged.held, judged.checked, judged.verdict) == (2, 4, "partly")
    assert judged.measured == {"toy.K": [3, -1, 7], "toy.psnr.full": 40.2}


@pytest.mark.parametrize(
    "check, word",
    [
        ("pairs.higher > pairs.lower", "holds"),
        ("pairs.higher < pairs.lower", "does not hold"),
        ("pairs.mixed > pairs.lower", "unclear"),
        ("pairs.mixed > pairs.lower ± 9", "holds"),
        ("pairs.lower > pairs.lower", "unclear"),
        ("pairs.lower > pairs.lower ± 0.1", "holds"),
        ("pairs.missing > pairs.lower", "unclear"),
    ],
)
def test_an_order_of_pairs_is_judged_by_the_interval_of_their_difference(check, word):
    values = {
        "lower": [1.0, 2.0, 3.0, 4.0],
        "higher": [3.0, 4.1, 5.2, 5.9],
        "mixed": [-1.0, 4.5, 1.5, 5.5],
        "missing": [None, None, 5.0, 6.5],
    }
    claim = {"id": "x", "kind": "order", "checks": [check]}
    assert judge(claim, {"pairs": {"values": values}}, "tiny").verdict == word


def test_several_orders_of_pairs_share_their_certainty():
    """One interval of three pairs excludes 0; none of ten judged together does."""
    values = {"lower": [0.0, 0.0, 0.0], "higher": [1.0, 1.4, 2.0]}
    claim = {"id": "x", "kind": "order", "checks": ["pairs.higher > pairs.lower"]}
    assert judge(claim, {"pairs": {"values": values}}, "tiny").verdict == "holds"
    claim["checks"] *= 10
    assert judge(claim, {"pairs": {"values": values}}, "tiny").verdict == "unclear"


@pytest.mark.parametrize(
    "check, word",
    [
        ("toy.between = 0 ± 1", "holds"),
        ("toy.between = 0 ± 0.3", "unclear"),
        ("toy.between = 2 ± 1", "does not hold"),
        ("toy.between = 0.1 ± 0.3", "unclear"),
        ("toy.between > 0", "unclear"),
        ("toy.between > -1", "holds"),
        ("toy.between > 1", "does not hold"),
        ("toy.between < 1", "holds"),
        ("toy.between < 0", "unclear"),
        ("toy.between < -1", "does not hold"),
    ],
)
def test_all_of_an_interval_counts(check, word):
    """An interval that reaches over the margin tells neither equal nor different."""
    values = {"between": {"difference": 0.1, "low": -0.25, "high": 0.5}}
    claim = {"id": "x", "kind": "order", "checks": [check]}
    assert judge(claim, {"toy": {"values": values}}, "tiny").verdict == word
    values["between"] |= {"low": None}
    assert judge(claim, {"toy": {"values": values}}, "tiny").verdict == "unclear"


def test_a_printed_number_is_the_paper_profiles_to_decide():
    claim = {"id": "x", "kind": "number", "checks": ["toy.psnr.full = 39 ± 0.1"]}
    judged = judge(claim, METRICS, "tiny")
    assert judged.verdict == "not tested here" and judged.measured == {"toy.psnr.full": 40.2}
    assert judged.why == "only the profile paper can tell"
    assert judge(claim, METRICS, "paper").verdict == "does not hold"


def test_a_claim_that_cannot_be_tested_says_why():
    assert verdict("toy.K > 0", only=["paper"]).why == "only the profile paper can tell"
    assert verdict("toy.K > 0", only=["paper"], why="no").why == "no"
    assert verdict("toy.K > 0", only=["paper", "tiny"]).verdict == "partly"
    assert verdict("other.K > 0").why == "the notebook other has no results in the profile tiny"
    assert verdict(why="no time").verdict == "not tested here"


def test_checks_that_make_no_sense():
    with pytest.raises(ValueError, match="cannot read the check 'toy.K'"):
        verdict("toy.K")
    with pytest.raises(ValueError, match="there is no k in toy.k; there is K, fools"):
        verdict("toy.k > 0")


def test_every_claim_is_complete():
    ids = [claim["id"] for claim in read_data("paper")["claims"]]
    assert len(set(ids)) == len(ids) >= 30
    for claim in read_data("paper")["claims"]:
        assert claim["kind"] in {"number", "order", "proportion", "visual"}, claim["id"]
        assert claim["where"] and claim["says"].endswith("."), claim["id"]
        assert ("checks" in claim) == ("only" in claim or "why" not in claim), claim["id"]


def test_the_words_between_the_numbers_of_a_claim_leave_room_for_each():
    worded = [claim for claim in read_data("paper")["claims"] if "measured" in claim]
    assert worded
    for claim in worded:
        sides = {side for check in claim["checks"] for side in re.split(" [<=>] | ± ", check)}
        numbers = [side for side in sides if side[0].isalpha()]
        assert claim["measured"].count("{}") == len(numbers), claim["id"]


def test_each_number_of_the_tables_has_its_claim():
    claimed = {
        c["id"]: float(c["paper"])
        for c in read_data("paper")["claims"]
        if c["id"].startswith("table")
    }
    for table, columns in read_data("paper")["tables"].items():
        for arm in "with", "without":
            for metric, number in columns[arm].items():
                assert claimed.pop(f"{table}-{metric}-{arm}") == number
    assert not claimed


def test_a_verdict_that_changes_unannounced_is_found(monkeypatch):
    monkeypatch.setitem(read_data("verdicts"), "tiny", {"x": "holds", "y": "not tested here"})
    same = [Verdict("x", "holds"), Verdict("y", "not tested here")]
    assert unannounced(same, "tiny") == []
    changed = [Verdict("x", "partly", 1, 2), same[1]]
    assert unannounced(changed, "tiny") == ["x: announced holds, found partly (1 of 2 checks)"]


def test_the_command_writes_the_verdicts_and_fails_when_they_change(monkeypatch, tmp_path):
    monkeypatch.setitem(
        read_data("paper"), "claims", [{"id": "x", "kind": "proportion", "checks": ["toy.K > 0"]}]
    )
    folder = tmp_path / "tiny"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "metrics.json").write_text(json.dumps(METRICS["toy"]))
    monkeypatch.setitem(read_data("verdicts"), "tiny", {"x": "partly"})
    main(folder)
    assert json.loads((folder / "claims.json").read_text())[0]["verdict"] == "partly"
    assert judge_all(folder)[0].held == 2
    monkeypatch.setitem(read_data("verdicts"), "tiny", {"x": "holds"})
    with pytest.raises(SystemExit, match="x: announced holds, found partly"):
        main(folder)
