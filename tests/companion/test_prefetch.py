import pytest

from jnd.companion import prefetch
from jnd.datasets import CIFAR10_ARCHIVE
from jnd.support.registry import registered

RESNET = "resnet50-11ad3fa6.pth"
INCEPTION = "inception_v3_google-0cc3c7bd.pth"


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.setenv("JND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JND_MIRROR", raising=False)


def needed(**given):
    return set(prefetch.files_of(given))


@pytest.mark.parametrize("profile", ["bundled", "smoke"])
def test_a_profile_of_our_own_needs_nothing(profile, capsys):
    prefetch.prefetch(profile)
    assert (
        capsys.readouterr().out
        == f"The {profile} profile needs nothing from outside; to fetch: nothing\n"
    )


def test_the_paper_profile_needs_photos_weights_and_cifar10():
    files = prefetch.needed("paper")
    assert {INCEPTION, CIFAR10_ARCHIVE, "n02132136_brown_bear.JPEG"} <= files.keys()
    assert RESNET in files and all(
        entry is registered("files")[name] for name, entry in files.items()
    )


def test_an_unknown_profile():
    with pytest.raises(
        ValueError, match="unknown profile 'papr': use one of bundled, paper, smoke"
    ):
        prefetch.needed("papr")


def test_what_each_parameter_needs(tmp_path):
    assert needed(photo="straight_road", weights="bundled") == {"straight_lines1.jpg"}
    assert needed(photos=["road", "cat"], data="packaged") == set()
    assert needed(data="official") == {CIFAR10_ARCHIVE}
    assert needed(machine="inception_v3", weights="official") == {INCEPTION}
    assert needed(machine="resnet18", weights="official") == {"resnet18-f37072fd.pth"}
    both = dict(machines=["inception_v3", "efficientnet_lite0"], weights=["official", "bundled"])
    assert needed(**both) == {INCEPTION}
    trained = tmp_path / "trained.safetensors"  # from torchvision's weights, once
    assert needed(machine="inception_v3", weights=str(trained)) == {INCEPTION}
    trained.touch()
    assert needed(machine="inception_v3", weights=str(trained)) == set()
    with pytest.raises(ValueError, match="no photo 'brown_baer'"):
        needed(photos=["brown_baer"])


def test_it_says_what_it_will_fetch_before_it_does(as_official, monkeypatch, capsys):
    as_official("inception_v3", {})  # so this one is here
    files = {
        name: registered("files")[name]
        for name in (INCEPTION, CIFAR10_ARCHIVE, "straight_lines1.jpg")
    }
    said = []
    monkeypatch.setattr(prefetch, "needed", lambda profile: files)
    monkeypatch.setattr(
        prefetch, "fetch", lambda *asked: said.append((capsys.readouterr().out, asked))
    )
    prefetch.prefetch("paper")
    (plan, first), (_, second) = said
    assert "   108.9 MB  inception_v3_google-0cc3c7bd.pth  is here\n" in plan
    assert "   170.1 MB  cifar-10-binary.tar.gz  https://www.cs.toronto.edu/" in plan
    assert "needs 3 files (279.2 MB) from outside; to fetch: 2 files (170.2 MB), into " in plan
    assert [first, second] == [
        (name, files[name]) for name in (CIFAR10_ARCHIVE, "straight_lines1.jpg")
    ]
