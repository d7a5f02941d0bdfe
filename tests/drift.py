"""Compare the results with the expected ones: python tests/drift.py results/bundled

Every metrics.json is compared with data/expected/PROFILE/NOTEBOOK.json, numbers to within 2 %, and
the differences are printed. With --accept the results become the new expectation, to be committed,
and the time and the image-updates of each notebook go into seconds.json and updates.json.
"""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).resolve().parents[1] / "data" / "expected"


def differences(expected: Any, got: Any, at: str = "") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(expected.keys() | got.keys()):
            yield from differences(expected.get(key), got.get(key), f"{at}.{key}")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for i, pair in enumerate(zip(expected, got, strict=True)):
            yield from differences(*pair, f"{at}[{i}]")
    elif not same(expected, got):
        yield f"{at}: {expected} became {got}"


def same(expected: Any, got: Any) -> bool:
    numbers = all(type(value) in (int, float) for value in (expected, got))
    return math.isclose(expected, got, rel_tol=0.02) if numbers else expected == got


def write(content: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--accept", action="store_true")
    args = parser.parse_args()
    drifted = []
    seconds = {}
    updates = {}
    for path in sorted(args.results.glob("*/metrics.json")):
        metrics = json.loads(path.read_text("utf-8"))
        values = metrics["values"]
        seconds[path.parent.name] = metrics["provenance"]["seconds"]
        updates[path.parent.name] = metrics["provenance"]["image_updates"]
        expectation = EXPECTED / args.results.name / f"{path.parent.name}.json"
        if args.accept:
            write(values, expectation)
        elif not expectation.exists():
            drifted.append(f"{path.parent.name}: no numbers are expected yet; see --accept")
        else:
            expected = json.loads(expectation.read_text("utf-8"))
            drifted += differences(expected, values, path.parent.name)
    if args.accept:
        write(seconds, EXPECTED / args.results.name / "seconds.json")
        write(updates, EXPECTED / args.results.name / "updates.json")
    if drifted:
        raise SystemExit("\n".join(drifted))


if __name__ == "__main__":
    main()
