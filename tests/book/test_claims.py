"""Verdicts on made-up results, and the paper's claims against what notebooks write."""

import json
import re

import pytest

from claims import THIS_RUN, Verdict, judge, judge_all, main, unannounced
from companion.checkout import read_data
from jnd.metrics import INT64_DB

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


def judged(claim, profile="tiny", **notebooks):
    return judge({"id": "x"} | claim, {THIS_RUN: notebooks or METRICS}, profile)


def verdict(*checks, **claim):
    return judged({"kind": "proportion", "checks": list(checks)} | claim)


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
        ("toy.psnr.full > toy.psnr.none + 2", 1, 1, "holds"),
        ("toy.psnr.full > toy.psnr.none + 3", 0, 1, "does not hold"),
        ("toy.K < toy.K ± 1", 2, 2, "holds"),  # two that are never noticed have no order
    ],
)
def test_checks(check, held, checked, word):
    result = verdict(check)
    assert (result.held, result.checked, result.verdict) == (held, checked, word)


def test_several_checks_count_together():
    result = verdict("toy.K > 0", "toy.psnr.full > 41")
    assert (result.held, result.checked, result.verdict) == (2, 4, "partly")
    (here,) = result.setups
    assert here.measured == {"toy.K": [3, -1, 7], "toy.psnr.full": 40.2}


def test_a_missing_value_is_left_out_unless_it_fails():
    values = {"ratio": [2.0, None, 0.5]}
    for claim, counts in ({}, (1, 2)), ({"missing": "fails"}, (1, 3)):
        claim |= {"kind": "proportion", "checks": ["toy.ratio > 1"]}
        result = judged(claim, toy={"values": values})
        assert (result.held, result.checked, result.verdict) == (*counts, "partly")
    assert verdict("toy.missing > 0").verdict == "not tested here"


def test_every_set_up_that_has_the_notebook_counts():
    """Two of three photos here, none of two there: 2 of 5."""
    setups = {
        THIS_RUN: METRICS,
        "elsewhere": {"toy": {"values": {"K": [-1, -1]}}},
        "nothing": {"other": {"values": {}}},
    }
    claim = {"id": "x", "kind": "proportion", "checks": ["toy.K > 0"]}
    result = judge(claim, setups, "tiny")
    assert (result.held, result.checked, result.verdict) == (2, 5, "partly")
    assert [(s.setup, s.verdict) for s in result.setups] == [
        (THIS_RUN, "partly"),
        ("elsewhere", "does not hold"),
    ]
    only_there = judge(claim | {"only": ["paper", "measured"]}, setups, "tiny")
    assert (only_there.held, only_there.checked) == (0, 2)
    assert [s.verdict for s in only_there.setups] == ["not tested here", "does not hold"]


def test_samples_that_are_no_pairs_are_compared_by_their_means():
    values = {"wide": [1.0, 2.0, 3.0, 2.5, 1.5], "far": [9.0, 10.0, 11.0], "near": [2.0, 2.1]}
    claim = {"kind": "order", "unpaired": True}
    for check, word in {
        "toy.far > toy.wide": "holds",
        "toy.far > toy.wide + 12": "does not hold",
        "toy.near > toy.wide": "unclear",
    }.items():
        assert judged(claim | {"checks": [check]}, toy={"values": values}).verdict == word


@pytest.mark.parametrize(
    "check, word",
    [
        ("pairs.higher > pairs.lower", "holds"),
        ("pairs.higher < pairs.lower", "does not hold"),
        ("pairs.mixed > pairs.lower", "unclear"),
        ("pairs.mixed > pairs.lower ± 9", "holds"),
        ("pairs.lower > pairs.lower", "unclear"),
        ("pairs.lower > pairs.lower ± 0.1", "holds"),
        ("pairs.lower > pairs.lower + 0.5", "does not hold"),
        ("pairs.higher > pairs.lower + 0.5", "holds"),
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
    claim = {"kind": "order", "checks": [check]}
    assert judged(claim, pairs={"values": values}).verdict == word


def test_several_orders_of_pairs_share_their_certainty():
    """One interval of three pairs excludes 0; none of ten judged together does.

    Where intervals have to lie within a margin, all of them must, and none is widened.
    """
    values = {"lower": [0.0, 0.0, 0.0], "higher": [1.0, 1.4, 2.0]}
    claim = {"kind": "order", "checks": ["pairs.higher > pairs.lower"]}
    assert judged(claim, pairs={"values": values}).verdict == "holds"
    claim["checks"] *= 10
    assert judged(claim, pairs={"values": values}).verdict == "unclear"
    claim["checks"] = 10 * ["pairs.higher = pairs.lower + 1.5 ± 1.3"]
    assert judged(claim, pairs={"values": values}).verdict == "holds"


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
    claim = {"kind": "order", "checks": [check]}
    assert judged(claim, toy={"values": values}).verdict == word
    values["between"] |= {"low": None}
    assert judged(claim, toy={"values": values}).verdict == "unclear"


def test_a_printed_number_is_the_paper_profiles_to_decide():
    claim = {"kind": "number", "checks": ["toy.psnr.full = 39 ± 0.1"]}
    result = judged(claim)
    assert result.verdict == "not tested here"
    assert result.setups[0].measured == {"toy.psnr.full": 40.2}
    assert result.why == "only the profile paper can tell"
    assert judged(claim, "paper").verdict == "does not hold"


def test_a_claim_that_cannot_be_tested_says_why():
    assert verdict("toy.K > 0", only=["paper"]).why == "only the profile paper can tell"
    assert verdict("toy.K > 0", only=["paper"], why="no").why == "no"
    assert verdict("toy.K > 0", only=["paper", "tiny"]).verdict == "partly"
    assert verdict("other.K > 0").verdict == "not tested here"
    assert verdict(why="no time", verdict="by definition").verdict == "by definition"
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
        assert "moment" in claim or "checks" not in claim, claim["id"]


def test_the_words_between_the_numbers_of_a_claim_leave_room_for_each():
    worded = [claim for claim in read_data("paper")["claims"] if "measured" in claim]
    assert worded
    for claim in worded:
        sides = {side for check in claim["checks"] for side in re.split(r" [<=>] | ± | \+ ", check)}
        numbers = [side for side in sides if side[0].isalpha()]
        assert claim["measured"].count("{}") == len(numbers), claim["id"]


def test_each_number_of_the_tables_is_in_their_claims_but_the_one_that_was_matched():
    claims = {claim["id"]: claim for claim in read_data("paper")["claims"]}
    for table, columns in read_data("paper")["tables"].items():
        printed = [columns["with"][metric] for metric in ("PSNR", "UQI", "SCC", "VIF")]
        printed += [columns["without"][metric] for metric in ("UQI", "SCC", "VIF")]
        stated = re.split("[,;] ", claims[table]["paper"])
        assert [float(number) for number in stated] == printed
        tested = [re.search(r"= (\S+)", check).group(1) for check in claims[table]["checks"]]
        printed[0] = round(printed[0] - INT64_DB, 2)
        assert [float(number) for number in tested] == printed


def test_a_verdict_that_changes_unannounced_is_found(monkeypatch):
    monkeypatch.setitem(read_data("verdicts"), "tiny", {"x": "holds", "y": "not tested here"})
    same = [Verdict("x", "holds"), Verdict("y", "not tested here")]
    assert unannounced(same, "tiny") == []
    changed = [Verdict("x", "partly", 1, 2), same[1]]
    assert unannounced(changed, "tiny") == [
        "x: announced holds, but the verdict is partly (1 of 2 checks)"
    ]


def test_the_command_writes_the_verdicts_and_says_which_changed(monkeypatch, tmp_path, capsys):
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
    assert capsys.readouterr().out == ""
    main(folder)
    assert "x: announced holds, but the verdict is partly" in capsys.readouterr().out
