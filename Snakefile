"""Run the notebooks of a profile and build the book: snakemake --cores all --config profile=smoke"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

PYTHON = sys.executable
PROFILE = config.get("profile", "bundled")
NOTEBOOKS = [
    "idea", "imagenet", "cifar10", "detection", "forensics", "reading", "comparison", "psychometrics",
]
FOLLOWS = {"forensics": ["imagenet", "cifar10"]}  # what a notebook's results depend on
# weights that nobody publishes, by profile and notebook
TRAINED = {("paper", "cifar10"): "results/weights/inception_v3_cifar10.safetensors"}
MADE = {"_build", "figures", "notebooks", "__pycache__"}  # by the build, inside book/

profiles = sorted(folder.name for folder in Path("notebooks/params").iterdir())
if PROFILE not in profiles:
    raise WorkflowError(f"unknown profile {PROFILE!r}: choose one of {', '.join(profiles)}")


rule all:
    input:
        "book/_build/html/index.html",


rule notebook:
    input:
        "data/registry.yaml",
        "data/paper.yaml",
        Path("data/weights").glob("*.safetensors"),
        Path("jnd").glob("*.py"),
        lambda wanted: expand(
            "results/{profile}/{name}/metrics.json",
            profile=wanted.profile, name=FOLLOWS.get(wanted.name, []),
        ),
        lambda wanted: TRAINED.get((wanted.profile, wanted.name), []),
        notebook="notebooks/{name}.ipynb",
        parameters="notebooks/params/{profile}/{name}.yaml",
    output:
        "results/{profile}/{name}/metrics.json",
    log:
        # the executed copy is kept when a cell fails
        notebook="results/{profile}/{name}/executed.ipynb",
    threads: workflow.cores
    retries: 2
    resources:
        gpu=1,
    shell:
        "{PYTHON} -m papermill --progress-bar {input.notebook} {log.notebook} -f {input.parameters}"
        " -p output results"


rule cifar10_machine:
    input:
        "data/recipes/cifar10.py",
        "data/recipes/training.py",
    output:
        "results/weights/{architecture}_cifar10.safetensors",
    threads: workflow.cores
    resources:
        gpu=1,
    shell:
        "{PYTHON} data/recipes/cifar10.py {wildcards.architecture} --out {output}"
        " --checkpoint {output}.checkpoint"


rule claims:
    input:
        expand("results/{{profile}}/{name}/metrics.json", name=NOTEBOOKS),
        "data/paper.yaml",
        "data/verdicts.yaml",
        "jnd/claims.py",
    output:
        "results/{profile}/claims.json",
    shell:
        "{PYTHON} -m jnd.claims {wildcards.profile}"


rule book:
    input:
        f"results/{PROFILE}/claims.json",
        "CITATION.cff",
        "README.md",
        "data/registry.yaml",
        Path("data/weights").glob("*"),
        Path("jnd").glob("*.py"),
        Path("data/measured").glob("*.json"),
        "data/speed.json",
        [f for f in Path("book").rglob("*.*") if not MADE & {*f.parts}],
    output:
        "book/_build/html/index.html",
    shell:
        "{PYTHON} book/build.py --profile {PROFILE}"
