"""The estimate of what the paper profile takes."""

import json

import paper


def test_counted_updates_grow_with_the_images_and_at_most_with_the_limits():
    bundled = {"photos": ["a", "b"], "ranks": [0], "max_iter": 100, "end_iter": 10}
    full = {"photos": ["a", "b", "c"], "ranks": [0, 2], "max_iter": 300, "end_iter": 10}
    assert paper.scaled(50, bundled, full) == {"sure": 150, "to_K": 300}  # 1.5 · 2, then 3 times
    counts = {"count": 10, "swept": 5, "max_iter": 80}
    assert paper.scaled(40, counts, counts | {"swept": 20}) == {"sure": 160, "to_K": 0}


def test_the_kept_jobs_are_those_of_the_counted_updates():
    assert json.loads(paper.COST.read_text("utf-8"))["values"]["jobs"] == paper.jobs()
