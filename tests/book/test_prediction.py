"""The prediction is what the rule gives, and the rule is the textbook's."""

import math

import numpy as np
import pytest
import yaml
from scipy import stats

from companion.checkout import ROOT, read_data
from prediction import (
    measured_networks,
    predict,
    predict_K,
    prediction_table,
    printed_quantities,
    quantities,
)


@pytest.fixture
def values():
    """Of one network: two photos, of which the castle is not noticed."""
    end = {name: 40.0 for name in ("PSNR", "UQI", "SCC", "VIF", "VIF (early sewar)")}
    arm = {"target_confidence_at_end": [1.0, 0.9], "K": [901, 7, -1], "jnd": [0.001, 0.004, None]}
    moment = {"full": end, "l2": end, "none": end | {"PSNR": 39.0}}
    return {
        "table1": {"jnd": moment, "end": moment, "matched": {"none": end}},
        "quality": {
            moment: {
                "full": {"PSNR": [40.0, 42.0, None], "SCC": [0.8, 0.8, 0.8]},
                "none": {"PSNR": [39.0, 41.0, 12.0]},
                "l2": {"PSNR": [40.0, 42.0, 44.0], "SCC": [0.8, 0.8, 0.8]},
            }
            for moment in ("jnd", "end")
        },
        "photos": ["brown_bear", "cock", "castle"],
        "arms": {"full": arm},
        "pictures": {"fools_when_saved": {"x(K)": [True, False, None]}},
    }


def test_the_prediction_follows_from_what_was_measured():
    latest, _ = yaml.safe_load((ROOT / "data" / "prediction.yaml").read_text("utf-8"))
    intervals = predict(measured_networks())
    assert latest["interval"].keys() == intervals.keys()
    for name, bounds in intervals.items():
        assert latest["interval"][name] == pytest.approx(bounds, rel=1e-3), name


def test_K_of_the_next_network_on_an_additive_table():
    """Without residuals there is no spread; with them that of a t distribution."""
    additive = np.exp(np.add.outer([1.0, 2.0, 4.0], [-0.5, 0.0, 0.5]))
    low, high = predict_K(additive)
    assert np.allclose(np.log(low), [1, 2, 4]) and np.allclose(low, high)
    residuals = 0.1 * np.array([[1, -1, 0], [-1, 1, 0], [0, 0, 0]])  # rows and columns sum to 0
    low, high = predict_K(additive * np.exp(residuals))
    reach = stats.t(4).isf(0.025) * math.sqrt(0.04 / 4) * math.sqrt(4 / 3)
    assert np.allclose(np.log(high), np.array([1, 2, 4]) + reach)


def test_what_is_predicted_is_read_from_the_results(values):
    measured = quantities(values)
    assert measured["JND(M), geometric mean"] == pytest.approx(0.002)
    assert measured["PSNR at x(K), three terms − unregularised"] == 1
    assert measured["pictures of x(K) that fool, of ten"] == 5
    assert "K, castle" not in measured and measured["K, bear"] == 901


def rows_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_what_was_predicted_is_between_the_printed_and_the_measured(values):
    printed = printed_quantities(read_data("paper"))
    predicted = {"interval": {"PSNR": [38.0, 41.0], "K, bear": [0.2, 900.0], "K, castle": [1, 9]}}
    bundled = {"imagenet": {"provenance": {"profile": "bundled"}}}
    assert rows_of(prediction_table(predicted, printed, bundled))[2:] == [
        ["PSNR", "38.83", "38 to 41", "not yet run"],
        ["K, bear", "509", "1 to 900", "not yet run"],
        ["K, castle", "–", "1 to 9", "not yet run"],
    ]
    ran = {"imagenet": {"provenance": {"profile": "paper"}, "values": values}}
    assert rows_of(prediction_table(predicted, printed, ran))[2:] == [
        ["PSNR", "38.83", "38 to 41", "40 ✓ inside"],
        ["K, bear", "509", "1 to 900", "901 ✗ outside"],
        ["K, castle", "–", "1 to 9", "none"],
    ]
