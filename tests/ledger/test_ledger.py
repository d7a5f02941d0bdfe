"""A run is packed, checked, judged again and made fit for the book; what is broken is refused."""

import base64
import hashlib
import json
import re
import stat
import sys
from dataclasses import asdict
from pathlib import Path
from zipfile import ZIP_LZMA, ZipFile, ZipInfo

import nbformat
import pytest
import torch
import yaml
from rocrate.rocrate import ROCrate
from safetensors.torch import load, save

import unpack as unpacking
import verify as verifying
from archive import grey_picture, make_archive, may_be_passed_on
from companion.checkout import ROOT, read_data
from companion.parameters import profile_parameters
from companion.registry import registered
from ledger_page import accepted_runs, beside, flow_times, largest_difference, ledger_page
from rebuild import results_of
from recompute import answers, classifier_answers, photos_at_hand
from small_results import ARMS, PICTURE, parameters_of, write_small_results
from unpack import METADATA, MOST_FILES, Refused, unpack
from verify import in_this_run, verify

NOT_OURS = "0" * 64  # the hash of a photo that no registry knows


@pytest.fixture(autouse=True, scope="module")
def few_claims():
    """Judge some claims alone, whatever others ask of a notebook."""
    ids = ("better-at-end", "unlike-people", "diverges", "K")
    judged = [claim for claim in read_data("paper")["claims"] if claim["id"] in ids]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("claims.read_data", lambda _: {"claims": judged})
        yield


@pytest.fixture(autouse=True)
def small_parameters(monkeypatch):
    monkeypatch.setattr(verifying, "profile_parameters", parameters_of)
    monkeypatch.setattr(verifying, "answers", lambda *_: [True, True])


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sender")
    return make_archive(write_small_results(folder), folder)


@pytest.fixture(scope="module")
def private(tmp_path_factory) -> Path:
    """An archive whose photos may not be passed on."""
    folder = tmp_path_factory.mktemp("private")
    return make_archive(write_small_results(folder, NOT_OURS), folder)


def contents(archive: Path) -> dict[str, bytes]:
    with ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def repacked(archive: Path, folder: Path, changes: dict[str, bytes | None]) -> Path:
    """Write an archive with some files changed, or without those of None, as they are hashed."""
    files = contents(archive) | changes
    with ZipFile(folder / "altered.zip", "w") as packed:
        for name, content in files.items():
            if content is not None:
                packed.writestr(name, content)
    return folder / "altered.zip"


def rehashed(archive: Path, folder: Path, changes: dict[str, bytes]) -> Path:
    """Write an archive with files changed by somebody who corrects their hashes too."""
    metadata = json.loads(contents(archive)[METADATA])
    for entity in metadata["@graph"]:
        if entity["@id"] in changes:
            entity["sha256"] = hashlib.sha256(changes[entity["@id"]]).hexdigest()
    return repacked(archive, folder, {**changes, METADATA: json.dumps(metadata).encode()})


def checked(archive: Path, folder: Path) -> tuple[verifying.Report, dict]:
    results = unpack(archive, folder)
    metrics = {path.parent.name: json.loads(path.read_text()) for path in results.glob("*/m*.json")}
    return verify(results, metrics), metrics


def test_a_run_is_packed_and_everything_in_it_confirmed(archive, tmp_path):
    assert archive.name == "results-bundled-fedcba9876.zip"
    report, metrics = checked(archive, tmp_path)
    assert report.differences == report.notes == []
    assert sorted(report.measured) == sorted(verifying.WITH_IMAGES)
    assert 300 < report.recomputed < report.numbers and len(report.answers) == 6
    table = verifying.comparison_table(report, metrics)
    psnr = re.search(r"\| PSNR .*", table)
    assert psnr and "38.83" in psnr[0] and "yes" in psnr[0]
    assert "not recomputed" in re.search(r"confidence at the end.*", table)[0]


def test_the_metadata_are_a_crate_and_agree_with_the_citation(archive):
    files = contents(archive)
    entities = {entity["@id"]: entity for entity in json.loads(files[METADATA])["@graph"]}
    assert {part["@id"] for part in entities["./"]["hasPart"]} == {*files} - {METADATA}
    assert {file.id for file in ROCrate(archive).get_by_type("File")} == {*files} - {METADATA}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    software = entities["#software"]
    assert (software["name"], software["version"]) == (citation["title"], citation["version"])
    assert software["license"] == citation["license"] == entities["./"]["license"]
    assert software.get("codeRepository") == citation.get("repository-code")
    assert entities["#run"]["endTime"] == "2026-12-01T00:00:00+00:00"
    assert json.loads(files["run.json"])["locks"].keys() == {"requirements.lock", "torch.lock"}
    assert b"/home/somebody" not in b"".join(files.values())


def test_photos_are_passed_on_only_under_a_licence_that_lets_us():
    by_licence = {
        name: may_be_passed_on({"data_sha256": {name: entry["sha256"]}})
        for name, entry in registered("files").items()
        if name.endswith((".png", ".jpg", ".JPEG", ".gz"))
    }
    refused = {name for name, passed_on in by_licence.items() if not passed_on}
    assert refused == {n for n in by_licence if n.startswith(("n0", "cifar"))}
    assert len(refused) == 11 and not may_be_passed_on({"data_sha256": {"mine.jpg": NOT_OURS}})


def test_photos_that_may_not_be_passed_on_stay_at_home(private, tmp_path):
    files = contents(private)
    assert "x0" not in load(files["imagenet/images.safetensors"])
    assert not any("viewer" in name for name in files)
    for notebook in ("imagenet", "pictures"):
        assert files[f"{notebook}/fig1.png"] == grey_picture()
        assert files[f"{notebook}/k.png"] == base64.b64decode(PICTURE)
        photo, curve, _ = json.loads(files[f"{notebook}/executed.ipynb"])["cells"][-1]["outputs"]
        assert base64.b64decode(photo["data"]["image/png"]) == grey_picture()
        assert "".join(curve["data"]["image/png"]).strip() == PICTURE
    report, _ = checked(private, tmp_path)  # where the photos are at hand
    assert report.differences == [] and len(report.measured) == 3


def test_without_the_photos_jnd_is_confirmed_alone(private, tmp_path, monkeypatch):
    monkeypatch.setattr(verifying, "photos_at_hand", lambda *_: {})
    report, metrics = checked(private, tmp_path)
    assert report.differences == [] == report.measured and len(report.notes) == 3
    table = verifying.comparison_table(report, metrics)
    assert re.search(r"JND\(M\), geometric mean.* yes", table)
    assert re.search(r"\| PSNR .* not recomputed", table)


def test_an_altered_image_is_found_and_named(archive, tmp_path):
    name = "imagenet/images.safetensors"
    images = load(contents(archive)[name])
    images["x_jnd.full"][2, 0, 5, 5] += 3
    report, _ = checked(rehashed(archive, tmp_path, {name: save(images)}), tmp_path)
    assert "imagenet.arms.full.jnd.2: they have" in report.differences[0]
    assert not any(".jnd.1:" in difference for difference in report.differences)


def test_another_photo_is_found(archive, tmp_path):
    name = "cifar10/images.safetensors"
    images = load(contents(archive)[name])
    images["x0"][0, 0, 0, 0] += 1
    report, _ = checked(rehashed(archive, tmp_path, {name: save(images)}), tmp_path)
    assert "cifar10: x0 has not the hashes in run.json" in report.differences


def test_an_altered_number_is_found_and_named(archive, tmp_path):
    """A number of an image by the image, any other by the verdict that no longer follows."""
    name = "imagenet/metrics.json"
    metrics = json.loads(contents(archive)[name])
    values = metrics["values"]
    values["table1"]["end"]["full"]["PSNR"] = 99
    values["people"]["paths"]["to the end"]["full"]["ratio"] = 6 * [0.5]
    altered = rehashed(archive, tmp_path, {name: json.dumps(metrics).encode()})
    number, verdict = checked(altered, tmp_path)[0].differences
    assert number.startswith("imagenet.table1.end.full.PSNR: they have 99, their images give")
    assert verdict == ("claim unlike-people: they say holds, their numbers say partly")


def test_other_parameters_are_named(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(
        verifying, "profile_parameters", lambda *names: parameters_of(*names) | {"target_rank": 2}
    )
    report, _ = checked(archive, tmp_path)
    assert "idea: target_rank was 0, and in the profile it is 2" in report.differences


def test_the_machine_is_asked_again():
    class Bright(torch.nn.Module):
        def forward(self, x):
            return torch.stack((x.mean((1, 2, 3)), torch.full((len(x),), 100.0)), 1)

        def class_name(self, number):
            return ("bright", "dark")[number]

    dark = torch.full((1, 3, 4, 4), 99.0)
    images = {"x0": dark, "x_jnd.full": dark + 2, "x_end.full": dark}
    values = {"label": ["dark"], "arms": {"full": {"K": [7], "noticed_at_end": [True]}}}
    same = classifier_answers(Bright(), {"target_rank": 0}, images, values)
    assert same == [True, True, False]


@pytest.mark.parametrize("notebook", verifying.WITH_IMAGES)
def test_what_is_not_at_hand_is_not_downloaded(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("JND_CACHE", str(tmp_path))
    monkeypatch.delenv("JND_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path)
    parameters = profile_parameters(notebook, "paper")
    assert photos_at_hand(notebook, parameters) == {}
    assert answers(notebook, parameters, NOT_OURS, {}, {}) == []
    assert list(tmp_path.iterdir()) == []


def member(name: str, mode: int = 0, method: int = 0) -> ZipInfo:
    info = ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = method
    return info


@pytest.mark.parametrize(
    "added, reason",
    [
        (member("../outside.png"), "would leave the folder"),
        (member("imagenet/../../outside.png"), "would leave the folder"),
        (member("/etc/outside.png"), "would leave the folder"),
        (member("C:\\outside.png"), "would leave the folder"),
        (member("imagenet/link.png", stat.S_IFLNK | 0o777), "is a link"),
        (member("imagenet/weights.pkl"), "no file that `make archive` writes"),
        (member("imagenet/deeper/fig1.png"), "no file that `make archive` writes"),
        (member("imagenet/new.png", method=ZIP_LZMA), "unusual method"),
        (member("imagenet/new.png"), "has no hash"),
    ],
    ids=lambda value: value.filename if isinstance(value, ZipInfo) else "",
)
def test_a_file_that_does_not_belong_there_is_refused(archive, tmp_path, added, reason):
    altered = repacked(archive, tmp_path, {})
    with ZipFile(altered, "a") as packed:
        packed.writestr(added, b"anything")
    with pytest.raises(Refused, match=reason):
        unpack(altered, tmp_path / "out")
    assert not (tmp_path / "outside.png").exists()


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"imagenet/k.png": b"another"}, "imagenet/k.png is not the file whose hash"),
        ({"imagenet/k.png": None}, "imagenet/k.png is missing"),
        ({"cifar10/metrics.json": None}, "cifar10/metrics.json is missing"),
        ({METADATA: None}, "it has no ro-crate-metadata.json"),
        ({METADATA: b'{"@graph": [{"@type": "File", "@id": "a"}]}'}, "gives no hash"),
        ({METADATA: b"[" * 100_000}, "is not valid JSON"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_hash_that_does_not_match_is_refused(archive, tmp_path, changes, reason):
    with pytest.raises(Refused, match=reason):
        unpack(repacked(archive, tmp_path, changes), tmp_path / "out")


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("run.json", b'{"format": 2, "profile": "bundled"}', "its format is 2, and only 1"),
        ("run.json", b'{"format": 1, "profile": "../x"}', "unknown profile"),
        ("run.json", b"[]", "holds no JSON object"),
        ("idea/metrics.json", b'{"a": "```{include} /etc/passwd"}', "a text with markup"),
        ("idea/metrics.json", b'{"a": "\x1b[2J"}', "is not valid JSON"),
        ("idea/metrics.json", rb'{"a": "\u001b2J"}', "a text with markup"),
        ("imagenet/viewer.json", b'{"photos": ["../../x"]}', "a text with markup"),
    ],
)
def test_a_hostile_text_is_refused(archive, tmp_path, name, content, reason):
    with pytest.raises(Refused, match=reason):
        unpack(rehashed(archive, tmp_path, {name: content}), tmp_path / "out")


def test_a_bomb_is_refused_by_its_size_and_its_number_of_files(archive, tmp_path, monkeypatch):
    with ZipFile(tmp_path / "many.zip", "w") as packed:
        for i in range(MOST_FILES + 1):
            packed.writestr(f"imagenet/{i}.png", b"")
    with pytest.raises(Refused, match="1001 files are too many"):
        unpack(tmp_path / "many.zip", tmp_path / "out")
    monkeypatch.setattr(unpacking, "MOST_BYTES", 10**6)
    bomb = repacked(archive, tmp_path, {"imagenet/zeros.csv": bytes(10**6)})
    with pytest.raises(Refused, match="unpacked it would have 0.0 GB"):
        unpack(bomb, tmp_path / "out")


def test_a_file_larger_than_declared_is_refused(tmp_path):
    """No more than the declared size is read, and the checksum tells."""
    liar = tmp_path / "liar.zip"
    with ZipFile(liar, "w", compression=8) as packed:
        packed.writestr("imagenet/zeros.csv", bytes(10**6))
    content = liar.read_bytes()
    liar.write_bytes(content.replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(Refused, match="not a sound zip file.*CRC"):
        unpack(liar, tmp_path / "out")
    assert (tmp_path / "out" / "unpacked" / "imagenet" / "zeros.csv").stat().st_size <= 10


def test_no_zip_half_a_zip_and_two_files_of_one_name_are_refused(archive, tmp_path):
    broken = tmp_path / "broken.zip"
    for content in (b"", b"no zip", archive.read_bytes()[:-500]):
        broken.write_bytes(content)
        with pytest.raises(Refused, match="not a sound zip file"):
            unpack(broken, tmp_path / "out")
    twice = repacked(archive, tmp_path, {})
    with ZipFile(twice, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("run.json", b"{}")
    with pytest.raises(Refused, match="two files of one name"):
        unpack(twice, tmp_path / "out")


def run_main(monkeypatch, *arguments: str | Path) -> str | None:
    """Run the command; return the sentence with which it fails."""
    monkeypatch.setattr(sys, "argv", ["verify.py", *map(str, arguments)])
    try:
        verifying.main()
    except SystemExit as end:
        return str(end.code)
    return None


def test_the_command_refuses_in_one_sentence(archive, tmp_path, monkeypatch):
    absent = run_main(monkeypatch, tmp_path / "absent.zip")
    assert absent and absent.startswith("refused: ") and "\n" not in absent
    hollow = rehashed(archive, tmp_path, {"imagenet/metrics.json": b'{"values": {}}'})
    words = run_main(monkeypatch, hollow)
    assert words and words.startswith("refused: its numbers cannot be judged (KeyError")


def test_an_accepted_run_is_a_row_of_the_ledger(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verifying, "data_folder", lambda: tmp_path)
    assert "choose another ACCEPT" in str(run_main(monkeypatch, archive, "--accept", "../x"))
    assert run_main(monkeypatch, archive, "--accept", "ours") is None
    assert "Kept as" in capsys.readouterr().out
    folder = tmp_path / "replications"
    ours = json.loads((folder / "ours.json").read_text())
    assert ours["clean"] and ours["devices"] == ["abacus"] and "images" not in ours
    ours |= {"name": "theirs", "date": "2026-12-02T00:00:00+00:00"}
    ours["numbers"]["PSNR"] *= 1.02
    (folder / "theirs.json").write_text(json.dumps(ours))
    paper = read_data("paper")
    page = ledger_page(accepted_runs(folder), paper, {"PSNR": [38.5, 40.5]})
    rows = page.runs.splitlines()
    assert len(rows) == 4 and "fedcba9" in rows[2] and "2 % (PSNR)" in rows[3]
    assert "38.5 to 40.5" in page.numbers and "theirs, bundled" in page.numbers
    assert ledger_page([], paper, {}).runs == "No run has been accepted yet."


def test_an_accepted_run_is_shown_with_a_claim_and_not_counted(archive, tmp_path):
    report, metrics = checked(archive, tmp_path)
    claims = {claim["id"]: claim for claim in read_data("paper")["claims"]}
    (verdict,) = [asdict(v) for v in report.verdicts if v.id == "better-at-end"]
    run = {
        "name": "theirs",
        "profile": "bundled",
        "devices": ["abacus"],
        "date": "2026-12-02T00:00:00+00:00",
        "claims": in_this_run(report.verdicts),
    }
    claim = claims["better-at-end"]
    both = beside(verdict, claim, [run], metrics)
    first, *_, last = both["setups"]
    assert last["setup"] == "theirs, bundled, abacus (not counted)"
    assert last["measured"] == first["measured"] and both["checked"] == verdict["checked"]
    other_checks = claim | {"checks": claim["checks"][:1]}
    itself = run | {"date": "2026-12-01T00:00:00+00:00"}
    assert beside(verdict, other_checks, [run], metrics) == verdict
    assert beside(verdict, claim, [itself], metrics) == verdict


def test_where_a_run_lies_in_the_figure_of_the_path_is_told_by_two_medians():
    arm = {"K": [2, -1, 8]}
    values = {
        "arms": dict.fromkeys(ARMS, arm) | {"none": {"K": [-1, -1, -1]}},
        "quality": {"jnd": dict.fromkeys(ARMS, {"PSNR": [60.0, None, 70.0]})},
        "paths": {"to K": dict.fromkeys(ARMS, {"alpha": 0.5})},
    }
    numbers = flow_times(values)
    assert len(numbers) == 4 and numbers["flow time αK, median, three terms"] == 2.5
    assert numbers["PSNR at x(K), median, distance only"] == 65


def test_two_runs_that_agree_say_so():
    run = {"PSNR": 40.0, "K": 3, "PSNR, three terms − unregularised": 1e-9}
    assert largest_difference(run, run | {"PSNR, three terms − unregularised": 0}) == "none"
    assert largest_difference(run, {"PSNR": 40.0, "K": 4}) == "25 % (K)"


def test_a_book_gets_our_text_and_their_outputs_without_scripts(archive, tmp_path):
    results = results_of(archive, tmp_path)
    page = nbformat.read(results / "imagenet" / "executed.ipynb", 4)
    ours = nbformat.read(ROOT / "notebooks" / "imagenet.ipynb", 4)
    assert [cell.source for cell in page.cells] == [cell.source for cell in ours.cells]
    html = page.cells[-1].outputs[-1].data["text/html"]
    assert "<td>7</td>" in html and "script" not in html and "onclick" not in html
    assert page.cells[-1].outputs[0].metadata == {"jnd": {"kind": "figure", "name": "fig1"}}
    verdicts = json.loads((results / "claims.json").read_text())
    assert {"id", "verdict", "setups"} <= verdicts[0].keys()


def test_a_notebook_with_another_text_is_refused(archive, tmp_path):
    name = "idea/executed.ipynb"
    notebook = json.loads(contents(archive)[name])
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    first["source"] = ["```{include} /etc/passwd\n```"]
    altered = rehashed(archive, tmp_path, {name: json.dumps(notebook).encode()})
    with pytest.raises(Refused, match="idea has another text .* the commit of the run, fedcba98"):
        results_of(altered, tmp_path / "out")


@pytest.mark.parametrize("content", [b"{}", b'{"cells": 7, "nbformat": 4, "nbformat_minor": 5}'])
def test_a_broken_notebook_is_refused(archive, tmp_path, content):
    altered = rehashed(archive, tmp_path, {"idea/executed.ipynb": content})
    with pytest.raises(Refused, match="no book can be made of it"):
        results_of(altered, tmp_path / "out")
