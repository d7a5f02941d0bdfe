"""The table of a folder of photos, against each photo by itself."""

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sewar
import torch
from PIL import Image

from companion.folder import Parameters, main, measure, merge, provenance
from companion.photos import load_photos, packaged_squares, read_rgb
from companion.zoo import load_machine
from jnd.descent import find_jnd

SIZE = 64
NAMES = ["0.png", "1.png", "2.png", "3.png", "alpha.png", "below/grey one's.JPEG", "cut.png"]


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    """Of a folder with four photos, a grey one, and two without an answer."""
    folder = tmp_path_factory.mktemp("photos")
    for i, photo in enumerate(packaged_squares(4, SIZE)[0]):
        Image.fromarray(photo.byte().permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    (folder / "below").mkdir()
    first = Image.open(folder / "0.png")
    first.convert("L").save(folder / "below" / "grey one's.JPEG", quality=95)
    first.convert("RGBA").save(folder / "alpha.png")
    (folder / "cut.png").write_bytes((folder / "1.png").read_bytes()[:3000])
    return Parameters(
        images=str(folder),
        machine="efficientnet_lite0",
        weights="bundled",
        size=SIZE,
        target_rank=0,
        squared_distance=1.0,
        bounded_range=1.0,
        total_variation=1.0,
        alpha=1e-4,
        max_iter=12,
        batch=3,
        save=str(folder.with_name("saved")),
    )


@pytest.fixture(scope="module")
def shards(parameters, tmp_path_factory):
    """The folder in two shards."""
    folder = tmp_path_factory.mktemp("tables") / "shards"
    paths = [folder / f"{i:05}.parquet" for i in range(2)]
    for path, names in zip(paths, (NAMES[:4], NAMES[4:]), strict=True):
        measure(parameters, names, path)
    return paths


@pytest.fixture(scope="module")
def table(shards):
    out = shards[0].parents[1] / "jnd.parquet"
    merge(shards, out)
    return out


def test_a_row_says_what_the_photo_gives_by_itself(parameters, table):
    """K of a descent that goes on to its end, and sewar's metrics."""
    machine = load_machine("efficientnet_lite0")
    for row in pq.read_table(table).to_pylist()[:4]:
        x0, hashes = load_photos([f"{parameters.images}/{row['image']}"], SIZE)
        with torch.no_grad():
            label = machine(x0).argmax().item()
        found = find_jnd(machine, x0, **parameters.descent)
        assert [row["sha256"]] == list(hashes.values()) and row["error"] is None
        assert (row["label"], row["target"], row["K"]) == (label, None, found.K.item())
        among = find_jnd(machine, x0, **parameters.descent, pixels="8bit")
        path = Path(parameters.save, f"{row['image']}.png")
        assert row["K_8bit"] == among.K.item() and path.exists() == (row["K_8bit"] >= 0)
        if path.exists():
            off = (
                read_rgb(path) - among.x_jnd[0]
            ).abs()  # a batch may round half a level otherwise
            assert off.max() <= 1 and off.mean() < 1e-3
            assert row["jnd_8bit"] == pytest.approx(among.jnd.item(), rel=0.02)
        if row["K"] < 0:
            assert row["jnd"] is None and row["PSNR"] is None
            continue
        assert row["jnd"] == pytest.approx(found.jnd.item(), rel=1e-3)
        pair = [x[0].permute(1, 2, 0).double().numpy() for x in (x0, found.x_jnd)]
        expected = {
            "PSNR": sewar.psnr(*pair, MAX=255),
            "UQI": sewar.uqi(*pair),
            "SCC": sewar.scc(*pair),
            "VIF": sewar.vifp(*pair),
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-3), name
    for column in "K", "K_8bit":
        assert {row[column] for row in pq.read_table(table).to_pylist()[:4]} > {-1}  # both cases


def test_a_photo_may_be_pulled_to_a_class(parameters, tmp_path):
    pulled = replace(parameters, target_rank=3)
    measure(pulled, NAMES[:1], tmp_path / "out.parquet")
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    machine = load_machine("efficientnet_lite0")
    x0, _ = load_photos([f"{parameters.images}/{NAMES[0]}"], SIZE)
    with torch.no_grad():
        label, _, target = machine(x0).topk(3).indices[0].tolist()
    found = find_jnd(machine, x0, target=target, **pulled.descent)
    assert (row["label"], row["target"], row["K"]) == (label, target, found.K.item())


def test_a_grey_photo_is_taken_as_rgb_and_a_bad_one_says_why(parameters, table, tmp_path):
    *_, alpha, grey, cut = pq.read_table(table).to_pylist()
    assert "mode RGBA" in alpha["error"] and "truncated" in cut["error"]
    assert alpha["K"] is None and cut["label"] is None and len(cut["sha256"]) == 64
    path = f"{parameters.images}/{grey['image']}"
    Image.fromarray(np.stack([np.array(Image.open(path))] * 3, 2)).save(tmp_path / "rgb.png")
    with torch.no_grad():
        answer = load_machine("efficientnet_lite0")(
            load_photos([str(tmp_path / "rgb.png")], SIZE)[0]
        ).argmax(1)
    assert (grey["error"], grey["label"]) == (None, answer.item())


def test_the_whole_is_the_shards_one_row_group_each(shards, table):
    assert pq.read_table(table)["image"].to_pylist() == NAMES
    file = pq.ParquetFile(table)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 3]
    for i, shard in enumerate(shards):
        assert file.read_row_group(i).equals(pq.read_table(shard))
    assert {path.name for path in shards[0].parent.iterdir()} == {path.name for path in shards}


def test_the_provenance_names_machine_parameters_and_data(parameters, table):
    made = provenance(table)
    assert made["parameters"] == asdict(parameters)
    assert made["machine_sha256"] == load_machine("efficientnet_lite0").sha256
    assert len(made["categories"]) == 1000 and made["commit"] and made["data"] == "7 photos"
    listed = subprocess.run(
        ["sha256sum", *NAMES], cwd=parameters.images, capture_output=True, check=True
    ).stdout
    whole = subprocess.run(["sha256sum"], input=listed, capture_output=True, check=True).stdout
    assert made["data_sha256"] == whole.decode().split()[0]


def test_shards_of_different_runs_are_not_merged(parameters, shards, tmp_path):
    measure(replace(parameters, alpha=1e-3), NAMES[6:], tmp_path / "00001.parquet")
    with pytest.raises(ValueError, match="differ in parameters: delete that folder"):
        merge([shards[0], tmp_path / "00001.parquet"], tmp_path / "jnd.parquet")
    assert not (tmp_path / "jnd.parquet").exists()


def test_a_photo_whose_descent_diverges_says_so(parameters, tmp_path):
    too_much = replace(parameters, alpha=1e25, total_variation=1e38, max_iter=3)
    measure(too_much, NAMES[:2], tmp_path / "out.parquet")
    for row in pq.read_table(tmp_path / "out.parquet").to_pylist():
        assert row["error"] == "diverged to NaN or infinity at iteration 1"
        assert row["label"] is not None and row["K"] is row["jnd"] is row["PSNR"] is None


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(batch=0), "a batch needs at least 1 photo"),
        (dict(alpha="1e-5"), "alpha = '1e-5' must be of type float"),
        (dict(size=20), "needs images of at least 25x25"),
        (dict(target_rank=1001), "rank 1001 is out of range"),
        (dict(target_rank=1), "choose 2 or more"),
        (dict(total_variation=-1.0), "total_variation = -1.0"),
        (dict(alpha=0), "alpha = 0, but"),
        (dict(max_iter=0), "max_iter = 0, but"),
        (dict(machine="googlenett"), "unknown machine"),
        (dict(save="no such folder/below"), "inside images: choose another folder"),
        (dict(save="/dev/null/below"), "Not a directory"),
        (dict(alhpa=2.0), "unexpected keyword argument 'alhpa'"),
    ],
)
def test_wrong_parameters_are_refused_before_the_first_photo(
    parameters, tmp_path, monkeypatch, wrong, message
):
    given = json.dumps(asdict(parameters) | {"images": "no such folder"} | wrong)
    command = ["companion.folder", "shard", str(tmp_path / "out.parquet"), given, "--", *NAMES]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match=message):
        main()
    assert not any(tmp_path.iterdir())
