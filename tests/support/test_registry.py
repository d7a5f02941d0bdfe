"""Outside files, and all that can go wrong with them, from a server on the loopback address."""

import hashlib
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torchvision

from jnd.machines.weights import official_file
from jnd.support import transfer
from jnd.support.checkout import ROOT
from jnd.support.registry import fetch, registered

CONTENT = random.Random(0).randbytes(100_000)
NAME = "photo.jpg"


class Server(ThreadingHTTPServer):
    """Sends ``content``, and fails as told."""

    content = CONTENT
    status = 200
    knows_ranges = True
    pause = 0.0  # seconds, four times in a transfer

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks = []  # after how many bytes the coming transfers break off
        self.stall = 0.0  # seconds before they do
        self.asked = []  # first byte of each transfer

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/{NAME}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", server.url)
            return self.end_headers()
        first = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        server.asked.append(first)
        if server.status != 200:
            return self.send_error(server.status)
        if not server.knows_ranges:
            first = 0
        if first >= len(server.content):
            return self.send_error(416)
        body = server.content[first:]
        self.send_response(206 if server.knows_ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.breaks:
            self.wfile.write(body[: server.breaks.pop(0)])
            return time.sleep(server.stall)
        quarter = -(-len(body) // 4)
        for start in range(0, len(body), quarter):
            self.wfile.write(body[start : start + quarter])
            time.sleep(server.pause)

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
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    monkeypatch.setattr(transfer, "TIMEOUT", 0.6)
    return tmp_path / "cache"


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("JND_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def assert_sound(path):
    assert path.read_bytes() == CONTENT
    assert not path.with_name(f"{NAME}.part").exists()


def test_a_fetched_file_is_kept(server, entry, cache, capfd):
    assert fetch(NAME, entry) == fetch(NAME, entry) == cache / NAME
    assert_sound(cache / NAME)
    assert server.asked == [0]
    assert capfd.readouterr().err == ""  # a progress bar is for a terminal


def test_a_terminal_shows_the_progress(entry, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(NAME, entry)
    assert "100%" in capfd.readouterr().err


def test_the_mirror_comes_before_the_network(server, entry, mirror):
    (mirror / NAME).write_bytes(CONTENT)
    assert fetch(NAME, entry) == mirror / NAME
    assert server.asked == []


def test_what_the_mirror_lacks_is_fetched(entry, mirror, cache):
    assert fetch(NAME, entry) == cache / NAME


def test_another_file_in_the_mirror_is_refused(server, entry, mirror):
    (mirror / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(
        ValueError,
        match=rf"mirror/{NAME} is not the registered file: .*99999 of 100000 bytes.*replace it",
    ):
        fetch(NAME, entry)
    assert server.asked == []


def test_a_mirror_that_is_no_folder(entry, mirror):
    mirror.rmdir()
    with pytest.raises(FileNotFoundError, match="JND_MIRROR names .*mirror, which is no folder"):
        fetch(NAME, entry)


def test_first_digits_of_a_hash_are_enough_if_they_agree(entry):
    fetch(NAME, entry | {"sha256": entry["sha256"][:8]})
    other = "0" * 8
    with pytest.raises(ValueError, match=f"sent another file .* registered is {other}"):
        fetch(NAME, entry | {"sha256": other})


def test_a_damaged_file_in_the_cache_is_replaced(server, entry, cache):
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT[:-1])
    assert_sound(fetch(NAME, entry))
    (cache / NAME).write_bytes(b"other")
    server.status = 404
    with pytest.raises(OSError, match="could not fetch"):
        fetch(NAME, entry)
    assert not (cache / NAME).exists()


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_an_error(server, entry, cache, status):
    server.status = status
    with pytest.raises(
        OSError, match=rf"could not fetch {NAME} from http.* \({status} .*JND_MIRROR"
    ):
        fetch(NAME, entry)
    assert not (cache / NAME).exists()
    server.status = 200
    assert_sound(fetch(NAME, entry))


def test_nobody_listens(entry, cache):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
        with pytest.raises(
            OSError, match="could not fetch .*[Rr]efused.*JND_MIRROR.*bundled profile"
        ):
            fetch(NAME, entry | {"url": nobody})
    assert not (cache / NAME).exists()
    assert_sound(fetch(NAME, entry))


def test_a_second_address_takes_over(server, entry, cache):
    """Where the first one breaks off, and where nobody listens there."""
    server.breaks = [30_000]
    mirrored = {"mirror": server.url.replace(NAME, "moved")}
    assert_sound(fetch(NAME, entry | mirrored))
    first, second = server.asked
    assert first == 0 and 28_000 < second <= 30_000
    (cache / NAME).unlink()
    assert_sound(fetch(NAME, entry | {"url": "http://127.0.0.1:1/" + NAME, "mirror": server.url}))


@pytest.mark.parametrize("stall", [0.0, 1.0], ids=["broken", "stalled"])
@pytest.mark.parametrize("path", [NAME, "moved"])
def test_a_transfer_goes_on_where_it_broke(server, entry, stall, path):
    server.breaks, server.stall = [30_000, 40_000], stall
    assert_sound(fetch(NAME, entry | {"url": server.url.replace(NAME, path)}))
    first, second, third = server.asked
    assert first == 0 and 28_000 < second <= 30_000 and 66_000 < third <= 70_000


def test_a_slow_transfer_is_none_that_stalls(server, entry):
    server.pause = transfer.TIMEOUT / 3
    assert_sound(fetch(NAME, entry))
    assert server.asked == [0]


def test_a_server_that_cannot_resume_sends_all_again(server, entry):
    server.knows_ranges, server.breaks = False, [30_000, 20_000]
    assert_sound(fetch(NAME, entry))
    assert len(server.asked) == 3


def test_what_has_arrived_serves_the_next_call(server, entry, cache):
    server.breaks = [10_000] * transfer.ATTEMPTS
    with pytest.raises(OSError, match="what has arrived is kept"):
        fetch(NAME, entry)
    assert not (cache / NAME).exists()
    server.asked.clear()
    assert_sound(fetch(NAME, entry))
    assert len(server.asked) == 1 and server.asked[0] > 40_000


def test_killed_between_the_last_byte_and_the_name(server, entry, cache):
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(CONTENT)
    assert_sound(fetch(NAME, entry))


@pytest.mark.parametrize("content", [CONTENT[:60_000], CONTENT[::-1], b"<html>please log in"])
def test_another_file_from_the_server(server, entry, cache, content):
    server.content = content
    with pytest.raises(
        ValueError, match=rf"sent another file .*\({len(content)} of 100000 bytes\).*JND_MIRROR"
    ):
        fetch(NAME, entry)
    assert [path.name for path in cache.iterdir()] == [f"{NAME}.lock"]
    server.content = CONTENT
    assert_sound(fetch(NAME, entry))


def test_the_rest_of_another_file_is_not_taken(entry, cache):
    cache.mkdir()
    (cache / f"{NAME}.part").write_bytes(CONTENT[::-1][:50_000])
    with pytest.raises(ValueError, match="it is deleted. Try again"):
        fetch(NAME, entry)
    assert_sound(fetch(NAME, entry))


@pytest.fixture
def small_disk(monkeypatch, tmp_path):
    """The cache on a disk of its own, smaller than the file; called, it mounts it anew."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        return subprocess.run(command, capture_output=True, text=True)

    if not shutil.which("mount") or mount("size=64k").returncode:
        pytest.skip("needs the right to mount a small disk")
    monkeypatch.setenv("JND_CACHE", str(disk))
    yield disk, lambda options: mount(f"remount,{options}").check_returncode()
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(server, entry, small_disk):
    disk, remount = small_disk
    with pytest.raises(
        OSError,
        match=r"could not keep photo.jpg .*No space left.* make room .*\(0\.1 MB\).* JND_CACHE",
    ):
        fetch(NAME, entry)
    assert not (disk / NAME).exists()
    remount("size=1m")
    assert_sound(fetch(NAME, entry))
    assert server.asked[-1] > 0


def test_a_cache_that_cannot_be_written(server, entry, small_disk):
    disk, remount = small_disk
    remount("size=1m,ro")
    with pytest.raises(
        OSError,
        match="could not keep .*[Rr]ead-only.* make it writable, or name another in JND_CACHE",
    ):
        fetch(NAME, entry)
    assert server.asked == []
    remount("rw")
    assert_sound(fetch(NAME, entry))
    remount("ro")
    assert_sound(fetch(NAME, entry))


def test_two_processes_fetch_the_same_file_once(server, entry, cache):
    server.pause = 0.1
    script = "import json; from jnd.support.registry import fetch; "
    script += "print('ready', flush=True); print(fetch(*json.loads(input())))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
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
    assert_sound(cache / NAME)
    assert server.asked == [0]


@pytest.mark.parametrize(
    "name", ["../photo.jpg", "a/../../photo.jpg", "{tmp_path}/photo.jpg", ".", ""]
)
def test_a_name_that_leaves_the_cache(server, entry, tmp_path, name):
    with pytest.raises(ValueError, match="lies outside .*: correct data/registry.yaml"):
        fetch(name.format(tmp_path=tmp_path), entry)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_a_path_that_leaves_its_package():
    entry = registered("files")["astronaut.png"]
    with pytest.raises(ValueError, match="lies outside .*skimage: correct"):
        fetch("astronaut.png", entry | {"path": "../numpy/__init__.py"})


def test_an_unregistered_file():
    with pytest.raises(ValueError, match="no file 'astronaut.jpg' in data/registry.yaml"):
        fetch("astronaut.jpg")


@pytest.mark.parametrize("name", registered("files"))
def test_an_entry_says_all_that_one_must_know(name):
    entry = registered("files")[name]
    assert re.fullmatch(r"\w[\w.-]+\.\w+", name)
    assert re.fullmatch("[0-9a-f]{8}|[0-9a-f]{64}", entry["sha256"])
    assert entry["source"] and entry["licence"]
    if "url" in entry:
        for address in entry["url"], entry.get("mirror", entry["url"]):
            assert address.startswith("https://") and address.endswith(f"/{name}")
        assert entry["bytes"] > 0
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
