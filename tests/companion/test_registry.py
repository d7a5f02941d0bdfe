"""The registry's files, and all that can go wrong with a download, from a server of our own."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest
import torchvision
import yaml

from companion import registry
from companion.checkout import ROOT
from companion.photos import CIFAR10_ARCHIVE, photo_source
from companion.registry import (
    RETRIES,
    cache_folder,
    fetch,
    fetch_profile,
    profile_files,
    registered,
)
from companion.weights import official_file

CONTENT = random.Random(0).randbytes(100_000)
NAME = "photo.jpg"
PROFILES = ROOT / "notebooks" / "params"


class Server(ThreadingHTTPServer):
    """Sends ``content``, and fails as it is told to."""

    content = CONTENT
    status = 200
    pause = 0.0  # seconds, before the content

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks = []  # after how many bytes the coming transfers break off
        self.paths = []  # of the requests

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/{NAME}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.paths.append(self.path)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", server.url)
            return self.end_headers()
        if server.status != 200:
            return self.send_error(server.status)
        self.send_response(200)
        self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        if server.breaks:
            return self.wfile.write(server.content[: server.breaks.pop(0)])
        time.sleep(server.pause)
        self.wfile.write(server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def entry(server):
    return {"url": server.url, "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("JND_MIRROR", raising=False)
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(pooch.downloaders, "DEFAULT_TIMEOUT", 0.6)
    return tmp_path / "cache"


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("JND_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def assert_complete(path):
    """The file is there, and nothing that a transfer may have left beside it."""
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_fetched_file_is_kept(server, entry, cache, capfd):
    assert fetch(NAME, entry) == fetch(NAME, entry) == cache / NAME
    assert_complete(cache / NAME)
    assert len(server.paths) == 1
    assert capfd.readouterr().err == ""  # a progress bar is for a terminal


def test_other_users_may_read_a_shared_cache(entry):
    assert fetch(NAME, entry).stat().st_mode & 0o777 == 0o644


def test_a_terminal_shows_the_progress(entry, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(NAME, entry)
    assert re.search(f"{NAME}: 100%.* 100k/100k", capfd.readouterr().err)


def test_without_a_cache_of_ones_own_it_is_the_systems(monkeypatch, tmp_path):
    monkeypatch.delenv("JND_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "jnd"
    assert cache_folder().is_absolute()


def test_the_mirror_comes_before_the_network(server, entry, mirror):
    (mirror / NAME).write_bytes(CONTENT)
    assert fetch(NAME, entry) == mirror / NAME
    assert server.paths == []


def test_a_file_that_the_mirror_lacks_is_downloaded(entry, mirror, cache):
    assert fetch(NAME, entry) == cache / NAME


def test_another_file_in_the_mirror_is_refused(server, entry, mirror):
    (mirror / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(
        ValueError,
        match=rf"mirror/{NAME} is not the registered file: .*99999 of 100000 bytes.*replace it",
    ):
        fetch(NAME, entry)
    assert server.paths == []


def test_a_mirror_that_is_not_a_folder(entry, mirror):
    mirror.rmdir()
    with pytest.raises(FileNotFoundError, match="JND_MIRROR is .*mirror, which is not a folder"):
        fetch(NAME, entry)


def test_the_first_digits_of_a_hash_are_enough_if_they_agree(entry, cache):
    fetch(NAME, entry | {"sha256": entry["sha256"][:8]})
    other = "0" * 8
    with pytest.raises(ValueError, match=f"sent another file .* instead of {other}"):
        fetch("other.jpg", entry | {"sha256": other})
    assert_complete(cache / NAME)


def test_a_damaged_file_in_the_cache_is_replaced(server, entry, cache):
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT[:-1])
    assert_complete(fetch(NAME, entry))


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_an_error(server, entry, cache, status):
    server.status = status
    with pytest.raises(
        OSError,
        match=rf"could not download {NAME} from http.* \({status} .*try again later.*JND_MIRROR",
    ):
        fetch(NAME, entry)
    assert len(server.paths) == 1 + RETRIES
    assert [*cache.iterdir()] == []
    server.status = 200
    assert_complete(fetch(NAME, entry))


def test_a_second_address_takes_over(server, entry, cache):
    """Where the first one breaks off, and where nobody listens there."""
    server.breaks = [30_000]
    assert_complete(fetch(NAME, entry | {"mirror": server.url.replace(NAME, "moved")}))
    assert server.paths == [f"/{NAME}", "/moved", f"/{NAME}"]
    (cache / NAME).unlink()
    nobody = f"http://127.0.0.1:1/{NAME}"
    assert_complete(fetch(NAME, entry | {"url": nobody, "mirror": server.url}))


def test_a_transfer_that_breaks_off_starts_anew(server, entry):
    server.breaks = [30_000, 40_000]
    assert_complete(fetch(NAME, entry))
    assert server.paths.count(f"/{NAME}") == 3


def test_a_transfer_that_always_breaks_off_leaves_nothing(server, entry, cache):
    server.breaks = [10_000] * (1 + RETRIES)
    with pytest.raises(OSError, match="could not download .*10000 bytes read.*try again later"):
        fetch(NAME, entry)
    assert [*cache.iterdir()] == []
    assert_complete(fetch(NAME, entry))


@pytest.mark.parametrize("content", [CONTENT[:60_000], CONTENT[::-1], b"<html>please log in"])
def test_another_file_from_the_server_is_not_kept(server, entry, cache, content):
    server.content = content
    with pytest.raises(
        ValueError, match=rf"sent another file .*\({len(content)} of 100000 bytes\).*JND_MIRROR"
    ):
        fetch(NAME, entry)
    assert [*cache.iterdir()] == []
    server.content = CONTENT
    assert_complete(fetch(NAME, entry))


def test_a_cache_that_cannot_be_made(entry, cache, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("JND_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="could not download .*another folder in JND_CACHE"):
        fetch(NAME, entry)


def test_two_processes_may_fetch_the_same_file(server, entry, cache):
    server.pause = 0.4
    script = "import json; from companion.registry import fetch; "
    script += "print('ready', flush=True); print(fetch(*json.loads(input())))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(ROOT / "notebooks")},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write(json.dumps([NAME, entry]) + "\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == [f"{cache / NAME}\n"] * 2
    assert_complete(cache / NAME)


def test_an_unregistered_file():
    with pytest.raises(ValueError, match="no file 'astronaut.jpg' in data/registry.yaml"):
        fetch("astronaut.jpg")


@pytest.mark.parametrize("name", registered("files"))
def test_an_entry_has_all_that_one_must_know(name):
    entry = registered("files")[name]
    assert re.fullmatch(r"\w[\w.-]+\.\w+", name)
    assert re.fullmatch("[0-9a-f]{8}|[0-9a-f]{64}", entry["sha256"])
    assert entry["source"] and entry["licence"]
    if "url" in entry:
        for address in entry["url"], entry.get("mirror", entry["url"]):
            assert address.startswith("https://") and address.endswith(f"/{name}")
        assert entry["bytes"] > 0
        assert set(entry["profiles"]) <= {path.name for path in PROFILES.iterdir()}
    else:
        assert fetch(name).is_file()


@pytest.mark.parametrize("network", ["inception_v3", "resnet50", "retinanet_resnet50_fpn"])
def test_registered_weights_are_torchvisions(network):
    name, entry = official_file(network)
    official = torchvision.models.get_model_weights(network).DEFAULT
    assert entry is registered("files")[name] and entry["url"] == official.url
    assert entry["sha256"].startswith(re.search("-(.{8}).pth", official.url)[1])
    assert round(entry["bytes"] / 2**20, 3) == official.meta["_file_size"]


def test_every_classifier_of_torchvision_can_be_checked():
    for network in torchvision.models.list_models(module=torchvision.models):
        name, entry = official_file(network)
        assert (
            re.fullmatch("[0-9a-f]{8,64}", entry["sha256"])
            and entry["sha256"] in entry["url"]
            or name in registered("files")
        )
        assert entry["bytes"] > 1e6 and Path(name).name == name


def files_needed(parameters):
    """The names of the files that a notebook with these parameters downloads."""
    photos = [*parameters.get("photos", []), *filter(None, [parameters.get("photo")])]
    files = {photo_source(photo)[0] for photo in photos}
    if parameters.get("data") == "official":
        files.add(CIFAR10_ARCHIVE)
    machines = [(parameters.get("machine"), parameters.get("weights", "bundled"))]
    if "machines" in parameters:
        machines = zip(parameters["machines"], parameters["weights"], strict=True)
    for machine, source in machines:
        # a file in results/ is trained first, from the official weights
        if source == "official" or source.startswith("results/"):
            files.add(official_file(machine)[0])
    return {file for file in files if "url" in registered("files")[file]}


@pytest.mark.parametrize("profile", sorted(path.name for path in PROFILES.iterdir()))
def test_a_profile_marks_what_its_notebooks_download(profile):
    settings = (yaml.safe_load(path.read_text("utf-8")) for path in PROFILES.glob(f"{profile}/*"))
    assert profile_files(profile).keys() == set().union(*map(files_needed, settings))


@pytest.mark.parametrize("profile", ["bundled", "smoke"])
def test_our_own_profiles_download_nothing(profile, capsys):
    fetch_profile(profile)
    expected = f"The {profile} profile downloads nothing.\nStill to fetch: nothing.\n"
    assert capsys.readouterr().out == expected


def test_the_command_says_what_is_wrong():
    command = [sys.executable, "-m", "companion.registry", "papr"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "notebooks")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: unknown profile 'papr'") and result.stdout == ""


def test_a_profile_is_announced_before_it_is_fetched(server, mirror, monkeypatch, capsys):
    content = {"here.pth": b"here", "first.jpg": CONTENT, "second.jpg": CONTENT}
    files = {
        name: {
            "url": server.url,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "profiles": ["paper"],
        }
        for name, data in content.items()
    }
    (mirror / "here.pth").write_bytes(b"here")
    monkeypatch.setattr(registry, "registered", lambda kind: files)
    download = registry._download
    outputs = []

    def recorded(name, *arguments):
        outputs.append(capsys.readouterr().out)
        return download(name, *arguments)

    monkeypatch.setattr(registry, "_download", recorded)
    fetch_profile("paper")
    plan, second = outputs
    assert "     0.0 MB  here.pth  already here\n" in plan
    assert f"     0.1 MB  first.jpg  {server.url}\n" in plan
    assert "The paper profile downloads 3 files (0.2 MB)." in plan
    assert "Still to fetch: 2 files (0.2 MB), into " in plan
    assert plan.endswith("Fetching first.jpg\n") and second == "Fetching second.jpg\n"
    assert sorted(path.name for path in cache_folder().iterdir()) == ["first.jpg", "second.jpg"]
