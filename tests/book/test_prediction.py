"""The prediction is what the rule gives, and the rule is the textbook's."""

import math

import pytest
import yaml
from scipy import stats

from companion.checkout import ROOT, read_data
from prediction import measured_quantities, predict, prediction_table, printed_quantities


def test_the_prediction_follows_from_what_was_measured():
    kept = yaml.safe_load((ROOT / "data" / "prediction.yaml").read_text("utf-8"))
    intervals = predict(measured_quantities())
    assert kept["interval"].keys() == intervals.keys()
    for name, mean in intervals.items():
        assert kept["interval"][name] == pytest.approx([mean.low, mean.high], rel=1e-3), name


def test_the_next_value_of_three():
    (mean,) = predict([{"PSNR": value} for value in (38.0, 39.0, 40.0)]).values()
    reach = stats.t(2).isf(0.025) * math.sqrt(4 / 3)
    assert (mean.mean, mean.low, mean.high) == pytest.approx((39, 39 - reach, 39 + reach))


def test_K_is_taken_by_its_logarithm():
    (mean,) = predict([{"K, bear": value} for value in (10, 100, 1000)]).values()
    reach = stats.t(2).isf(0.025) * math.sqrt(4 / 3)
    assert (mean.mean, mean.low) == pytest.approx((100, 10 ** (2 - reach)))


def rows_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_what_was_predicted_stands_between_the_printed_and_the_measured():
    printed = printed_quantities(read_data("paper"))
    predicted = {"interval": {"PSNR": [38.0, 41.0], "K, bear": [0.2, 900.0]}}
    table = prediction_table(predicted, printed, {"provenance": {"profile": "bundled"}})
    assert rows_of(table)[2:] == [
        ["PSNR", "38.83", "38 to 41", "not yet run"],
        ["K, bear", "509", "1 to 900", "not yet run"],
    ]
    end = {name: 40.0 for name in ("PSNR", "UQI", "SCC", "VIF", "VIF (early sewar)")}
    arm = {"target_confidence_at_end": [1.0, 0.9], "K": [901, 7]}
    values = {"table1": {"end": {"full": end}}, "photos": ["brown_bear", "cock"]}
    ran = {"provenance": {"profile": "paper"}, "values": values | {"arms": {"full": arm}}}
    assert rows_of(prediction_table(predicted, printed, ran))[2:] == [
        ["PSNR", "38.83", "38 to 41", "40 ✓ inside"],
        ["K, bear", "509", "1 to 900", "901 ✗ outside"],
    ]
