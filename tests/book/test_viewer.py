"""The slider, from what the notebook on ImageNet keeps for it."""

import json

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from companion.style import CHANGES
from viewer import kept_photos, viewer_html


@pytest.fixture
def results(tmp_path, monkeypatch):
    """One photo in two arms: grey 100, then lighter by 1, 2 and at the end by 40 or 80 levels."""
    monkeypatch.setenv("JND_BOOK_RESULTS", str(tmp_path))
    numbers = {"k": [0, 3, 9], "K": 3, "updates": 5, "change": [0, 0.002, 0.005, 0.1]}
    numbers["confidence"] = [[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.1, 0.9]]
    kept = {"answer": "tiger", "curve": [[1 - k / 10, k / 10] for k in range(10)]}
    arms = {"full": numbers | kept, "none": numbers | kept}
    photo = {"photo": "grey_cat", "names": ["cat", "strongest other class"], "arms": arms}
    folder = tmp_path / "imagenet"
    folder.mkdir()
    content = {"photos": [photo], "provenance": "how it was made"}
    (folder / "viewer.json").write_text(json.dumps(content))
    images = {
        f"grey_cat.{arm}": torch.tensor([100.0, 101, 102, end]).view(4, 1, 1, 1)
        * torch.ones(3, 8, 8)
        for arm, end in {"full": 140, "none": 180}.items()
    }
    save_file(images, folder / "viewer.safetensors")
    return tmp_path


def test_a_frame_is_described_by_its_numbers_and_the_scale_of_its_colours(results):
    (photo,) = kept_photos("imagenet")
    change = "The photo has changed by"
    scale = "regularisation; colour scale"
    assert photo.text(1) == (
        f"k = 3 = K: cat 0.45, strongest other class 0.55. {change} 0.2 % with and 0.2 % without "
        f"{scale} ±1 grey levels"
    )
    # one scale for both arms
    assert photo.text(3) == (
        "End of the run, 5 updates in larger steps: cat 0.10, strongest other class 0.90. "
        f"{change} 10 % with and 10 % without {scale} ±80 grey levels"
    )


def test_strips_have_the_frames_and_the_changes_on_the_scale_of_both_arms(results):
    (photo,) = kept_photos("imagenet")
    photo.write(results)
    path = f"{results}/viewer-imagenet-grey_cat-full-{{}}.webp"
    pictures = {kind: np.asarray(Image.open(path.format(kind))) for kind in ("photo", "change")}
    assert pictures["photo"].shape == pictures["change"].shape == (8, 4 * 8, 3)
    means = pictures["photo"].reshape(8, 4, 8, 3).mean((0, 2, 3))
    assert means == pytest.approx([100, 101, 102, 140], abs=4)  # it is lossy
    # none, the full scale at K, beyond it, half of what the other arm has at the end
    colours = mpl.colormaps[CHANGES]([0.5, 1.0, 1.0, 0.75], bytes=True)[:, :3]
    assert (pictures["change"][:, ::8] == colours).all()


def test_the_page_begins_at_K_names_the_new_class_and_draws_all_k(results):
    html = viewer_html("imagenet", "../_images/")
    assert "<em>cat</em> + 0.2\N{NO-BREAK SPACE}% = <em>tiger</em>" in html
    assert "k = 3 = K: cat 0.45" in html and "how it was made" in html
    assert "url(../_images/viewer-imagenet-grey_cat-none-change.webp)" in html
    content = html.split('<script type="application/json">')[1].split("</script>")[0]
    (photo,) = json.loads(content)
    assert photo["start"] == 1 and photo["K"] == pytest.approx(0.3)
    assert (
        photo["names"] == ["cat", "strongest other class (at K tiger)"] and len(photo["paths"]) == 4
    )
    assert photo["paths"][0].count(",") == 10 + 1  # and a dash for the end
    assert 'name="photo"' not in html  # there is no choice


def test_without_K_nothing_is_said_to_have_changed(results):
    path = results / "imagenet" / "viewer.json"
    path.write_text(path.read_text().replace('"K": 3', '"K": -1').replace("tiger", ""))
    html = viewer_html("imagenet", "_images/")
    assert 'class="viewer-short"><em>cat</em></p>' in html and "no K up to here" in html
