"""The table of a folder of photos, against each photo by itself."""

import hashlib
import json
import os
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sewar
import torch
from PIL import Image

from companion import __main__ as command
from companion.folder import (
    Parameters,
    default_parameters,
    descend,
    main,
    measure,
    merge,
    provenance,
)
from companion.listing import list_photos, shard_of, state_of
from companion.photos import load_photos, packaged_squares, read_rgb
from companion.zoo import load_machine
from jnd.descent import find_jnd
from odd_photos import jpeg_with_odd_exif, write_16_bit_png

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
        (dict(size=20), "needs images of at least 25x25"),
        (dict(target_rank=1001), "rank 1001 is out of range"),
        (dict(target_rank=1), "choose 2 or more"),
        (dict(total_variation=-1.0), "total_variation = -1.0"),
        (dict(alpha=0), "alpha = 0, but"),
        (dict(max_iter=0), "max_iter = 0, but"),
        (dict(machine="googlenett"), "unknown machine"),
        (dict(images="photos", save="photos/below"), "inside images: choose another folder"),
        (dict(save="/dev/null/below"), "Not a directory"),
        (dict(alhpa=2.0), "unexpected keyword argument 'alhpa'"),
    ],
)
def test_wrong_parameters_are_refused_before_the_first_photo(
    parameters, tmp_path, monkeypatch, wrong, message
):
    monkeypatch.setattr("companion.folder.read_square", lambda *_: pytest.fail("read a photo"))
    given = json.dumps(asdict(parameters) | wrong)
    state = state_of(parameters.images, NAMES[:4])
    command = ["companion.folder", "shard", str(tmp_path / "out.parquet"), given, "0", "4", state]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match=message):
        main()
    assert not any(tmp_path.iterdir())


def test_a_shard_whose_photos_have_changed_since_they_were_listed_is_not_measured(
    parameters, tmp_path, monkeypatch
):
    given = json.dumps(asdict(parameters))
    command = ["companion.folder", "shard", str(tmp_path / "out.parquet"), given, "0", "4", "old"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match="have changed meanwhile: run again"):
        main()
    assert not any(tmp_path.iterdir())


def test_a_shard_whose_photos_change_while_it_is_measured_leaves_no_table(
    parameters, tmp_path, monkeypatch
):
    photos = list_photos(parameters.images)[0]
    assert photos == NAMES
    state = state_of(parameters.images, shard_of(photos, 1, 6))
    out = tmp_path / "out.parquet"

    def measure_and_touch(parameters, names, out):
        assert names == NAMES[6:]
        out.touch()
        os.utime(Path(parameters.images, names[0]))

    monkeypatch.setattr("companion.folder.measure", measure_and_touch)
    command = ["companion.folder", "shard", str(out), json.dumps(asdict(parameters))]
    monkeypatch.setattr("sys.argv", [*command, "1", "6", state])
    with pytest.raises(SystemExit, match="have changed meanwhile: run again"):
        main()
    assert not out.exists()


def test_k_and_its_picture_come_from_one_descent(parameters):
    """A photo costs a gradient for each x(k) until both are known."""
    machine = load_machine("efficientnet_lite0")
    x0 = packaged_squares(4, SIZE)[0]
    gradients = []
    machine.register_forward_pre_hook(
        lambda _, args: gradients.append(len(args[0]) * args[0].requires_grad)
    )
    rows, pictures = descend(parameters, machine, x0)
    iterations = 0
    for row, picture in zip(rows, pictures, strict=True):
        last = max(row["K"], row["K_8bit"]) if min(row["K"], row["K_8bit"]) >= 0 else 12
        iterations += min(last + 1, 12)
        assert picture.isfinite().all() == (row["K_8bit"] >= 0)
    assert sum(gradients) == iterations


@pytest.fixture(scope="module")
def odd(tmp_path_factory, parameters):
    """A folder of files that are no photos, although their names say so, and of one that is."""
    folder = tmp_path_factory.mktemp("odd")
    photo = Path(parameters.images, "0.png").read_bytes()
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(photo)
    pixels = np.array(Image.open(Path(parameters.images, "0.png")))
    write_16_bit_png(folder / "deep.png", pixels)
    Image.fromarray(0 * pixels).save(folder / "black.png")
    (folder / "dangling.jpg").symlink_to("nowhere")
    (folder / "itself.jpg").symlink_to("itself.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "empty.jpg").touch()
    (folder / "exif.jpg").write_bytes(jpeg_with_odd_exif(pixels))
    (folder / "album.jpg").mkdir()
    return folder


def test_an_odd_file_is_its_own_error_row_and_the_others_go_on(odd, parameters, tmp_path):
    names = list_photos(odd)[0]
    measure(
        replace(parameters, images=str(odd), max_iter=1, batch=9, save=""), names, tmp_path / "out"
    )
    rows = {row["image"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    photo = rows.pop("caf\\xe9.png")  # the byte that is no UTF-8
    assert photo["error"] is None and photo["label"] is not None
    errors = {
        "black.png": "is black",
        "dangling.jpg": "leads to no file",
        "deep.png": "mode 16-bit RGB, not 8-bit RGB",
        "empty.jpg": "cannot identify",
        "exif.jpg": "cannot be decoded",
        "itself.jpg": "leads to no file",
        "pipe.jpg": "leads to no file",
    }
    assert rows.keys() == errors.keys()
    for name, error in errors.items():
        assert error in rows[name]["error"]
        assert rows[name]["label"] is rows[name]["K"] is rows[name]["jnd"] is None
    whole = [f"{row['sha256']}  {name}\n" for name, row in rows.items() if row["sha256"]]
    whole.insert(1, f"{photo['sha256']}  caf\\xe9.png\n")
    digest = hashlib.sha256("".join(whole).encode()).hexdigest()
    assert provenance(tmp_path / "out")["data_sha256"] == digest


def test_a_picture_is_saved_whose_name_would_be_too_long(parameters, tmp_path):
    name = 251 * "n" + ".png"  # as long as a name may be
    (tmp_path / "photos").mkdir()
    photo = Path(parameters.images, NAMES[0]).read_bytes()
    (tmp_path / "photos" / name).write_bytes(photo)
    saved = tmp_path / "saved"
    fast = replace(parameters, images=str(tmp_path / "photos"), save=str(saved), alpha=1.0)
    measure(fast, [name], tmp_path / "out.parquet")
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    (picture,) = saved.iterdir()
    assert row["K_8bit"] >= 0 and len(picture.name) == 255 and picture.name.startswith(200 * "n")
    x = read_rgb(picture)[None].float()
    assert load_machine("efficientnet_lite0")(x).argmax().item() != row["label"]


def test_folder_yaml_has_the_defaults():
    assert default_parameters().machine == "efficientnet_lite0"
    assert default_parameters(size=32).size == 32


def run_command(monkeypatch, *arguments):
    """Run python -m companion and return its exit status."""
    monkeypatch.setattr("sys.argv", ["companion", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        command.main()
    return stop.value.code


def test_the_command_for_a_photo_saves_a_picture_that_fools(
    odd, parameters, tmp_path, monkeypatch, capsys
):
    photo = Path(parameters.images, "0.png")
    options = ["--size", SIZE, "--output", tmp_path / "new", "--alpha", 1.0]
    status = run_command(monkeypatch, odd / "black.png", photo, odd / "none.jpg", *options)
    printed = capsys.readouterr()
    assert status == 1  # two of three photos failed, and the third went on
    assert "black.png is black" in printed.err and "no photo" in printed.err
    machine = load_machine("efficientnet_lite0")
    x0, _ = load_photos([str(photo)], SIZE)
    trajectory = find_jnd(machine, x0, alpha=1.0, pixels="8bit")
    x = read_rgb(tmp_path / "new" / "0.png.png")[None].float()
    assert torch.equal(x, trajectory.x_jnd)
    lines = {line[:17].strip(): line[18:] for line in printed.out.splitlines()}
    assert lines["answer"] == machine.answers(x0)[0]
    assert lines["new answer"] == machine.answers(x)[0]
    assert lines["K"] == str(trajectory.K_unrounded.item())
    assert lines["K of a picture"].startswith(
        f"{trajectory.K.item()}, JND {trajectory.jnd.item():.3g}"
    )
    assert (tmp_path / "new" / "0.png.figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["a.jpg", "--machine", "efficientnet_lite"], "unknown machine 'efficientnet_lite'"),
        (["a.jpg", "--size", "20"], "needs images of at least 25x25"),
        (["a.jpg", "--output", "/dev/null/below"], "nothing can be written into the folder"),
        (["a.jpg", "b/a.jpg"], "two photos have the same name"),
    ],
)
def test_the_command_for_a_photo_says_what_is_wrong(monkeypatch, arguments, message):
    assert message in run_command(monkeypatch, *arguments)
