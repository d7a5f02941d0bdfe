"""What the README says was found."""

from readme import README, filled


def test_the_readme_has_the_numbers_that_are_expected():
    text = README.read_text("utf-8")
    assert filled(text) == text, "run: python book/_ext/readme.py"
