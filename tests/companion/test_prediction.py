"""What was predicted is what the rule gives, and the rule is the textbook's."""

import math

import pytest
import yaml
from scipy import stats

from jnd.companion.prediction import of_networks, predict
from jnd.support.checkout import ROOT


def test_the_prediction_follows_from_what_was_measured():
    kept = yaml.safe_load((ROOT / "data" / "prediction.yaml").read_text("utf-8"))
    found = predict(of_networks())
    assert kept["interval"].keys() == found.keys()
    for name, of in found.items():
        assert kept["interval"][name] == pytest.approx([of.low, of.high], rel=1e-3), name


def test_the_next_value_of_three():
    (of,) = predict([{"PSNR": value} for value in (38.0, 39.0, 40.0)]).values()
    reach = stats.t(2).isf(0.025) * math.sqrt(4 / 3)
    assert (of.mean, of.low, of.high) == pytest.approx((39, 39 - reach, 39 + reach))


def test_K_is_taken_by_its_logarithm():
    (of,) = predict([{"K, bear": value} for value in (10, 100, 1000)]).values()
    reach = stats.t(2).isf(0.025) * math.sqrt(4 / 3)
    assert (of.mean, of.low) == pytest.approx((100, 10 ** (2 - reach)))
