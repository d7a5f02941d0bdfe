"""The slider, from what the notebook on ImageNet keeps for it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from viewer import kept_descents, strip, viewer_html


def test_the_strip_has_the_frames_above_and_what_was_added_below():
    frames = torch.full((3, 3, 4, 4), 100.0)
    frames[1] += 2
    frames[2] -= 4
    picture, reach = strip(frames)
    pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (8, 12, 3) and reach == 4
    assert [pixels[0, column].tolist() for column in (0, 4, 8)] == [[100] * 3, [102] * 3, [96] * 3]
    nothing, more, less = (pixels[4, column] for column in (0, 4, 8))
    assert nothing.min() > 240  # white
    assert more[0] > more[2] + 50 and less[2] > less[0] + 50  # red and blue
    picture, reach = strip(frames, 1)
    pixels = np.asarray(picture).astype(int)
    assert reach == 2 and pixels[4, 4].sum() < more.sum()  # redder
    assert pixels[4, 8].tolist() == less.tolist()  # as blue as it can be


@pytest.fixture
def results(tmp_path, monkeypatch):
    """One photo in two arms: grey 100, then lighter by 1, 2 and at the end by 40 grey levels."""
    monkeypatch.setenv("JND_BOOK_RESULTS", str(tmp_path))
    numbers = {"k": [0, 3, 9], "updates": 5, "change": [0, 0.002, 0.005, 0.1]}
    numbers["confidence"] = [[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.1, 0.9]]
    arms = {"full": numbers | {"K": 3}, "none": numbers | {"K": -1}}
    photo = {"photo": "grey_cat", "names": ["cat", "cup"], "arms": arms}
    folder = tmp_path / "imagenet"
    folder.mkdir()
    content = {"photos": [photo], "provenance": "how it was made"}
    (folder / "viewer.json").write_text(json.dumps(content))
    frames = torch.tensor([100.0, 101, 102, 140]).view(4, 1, 1, 1) * torch.ones(3, 8, 8)
    images = {f"grey_cat.{arm}": frames.clone() for arm in arms}
    save_file(images, folder / "viewer.safetensors")
    return tmp_path


def test_a_frame_is_described_by_its_numbers_and_the_scale_of_its_colours(results):
    with_K, without = kept_descents("imagenet")
    change = "% of the photo; full colour is"
    assert with_K.text(0) == f"k = 0: cat 0.90, cup 0.10. Change 0 {change} 1 grey levels"
    assert with_K.text(1) == f"k = 3 = K: cat 0.45, cup 0.55. Change 0.2 {change} 1 grey levels"
    assert with_K.text(3) == (
        "End of the run, 5 updates in larger steps: cat 0.10, cup 0.90. Change 10 "
        f"{change} 40 grey levels"
    )
    # nothing says which change must be visible: the scale is that of the largest
    assert without.text(1) == f"k = 3: cat 0.45, cup 0.55. Change 0.2 {change} 2 grey levels"


def test_the_picture_of_a_descent_has_the_end_as_its_last_frame(results):
    descent, _ = kept_descents("imagenet")
    descent.write(results)
    picture = Image.open(results / "viewer-imagenet-grey_cat-full.webp")
    assert picture.size == (4 * 8, 2 * 8)
    pixels = np.asarray(picture).astype(int)
    shown = [pixels[:8, 8 * frame : 8 * frame + 8].mean() for frame in range(4)]
    assert shown == pytest.approx([100, 101, 102, 140], abs=4)  # it is lossy


def test_the_page_begins_at_K_and_offers_photos_and_arms(results):
    html = viewer_html("imagenet", "../_images/", first_alone=False)
    assert "k = 3 = K: cat 0.45, cup 0.55" in html and "how it was made" in html
    assert "url(../_images/viewer-imagenet-grey_cat-full.webp)" in html
    assert "grey cat</label>" in html and "without</label>" in html
    content = html.split('<script type="application/json">')[1].split("</script>")[0]
    with_K, without = json.loads(content)
    assert with_K["start"] == 1 and with_K["K"] == pytest.approx(0.3)
    assert without["K"] == -1 and without["K_text"] == "no K up to here"


def test_the_first_photo_alone_says_how_little_changed_it(results):
    html = viewer_html("imagenet", "_images/", first_alone=True)
    assert "<em>cat</em> + 0.2\N{NO-BREAK SPACE}% of change = something else" in html
    assert 'name="photo"' not in html
