"""Run the notebooks of a profile and build the book: snakemake --cores all --config profile=smoke

Or find the JND of every photo in a folder: snakemake --cores all folder --config images=DIR
"""

import functools
import json
import math
import os
import re
import shlex
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from companion.files import writable_folder
from companion.listing import check_owner, claim, left_out, list_photos, shard_of, state_of
from companion.parameters import check_type


configfile: "folder.yaml"


# OpenMP's threads sleep while they wait, so that other work on the computer slows an update less.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

PYTHON = shlex.quote(sys.executable)
PROFILE = config.get("profile", "bundled")
# in the order in which they run: the paper's own figures first, then judgement, then what lies beyond
NOTEBOOKS = [
    "imagenet", "cifar10", "detection", "forensics", "reading", "pictures", "derivation", "comparison",
    "psychometrics", "idea",
]
# the notebooks whose results a notebook reads
FOLLOWS = {
    "comparison": ["imagenet"],
    "derivation": ["imagenet"],
    "forensics": ["imagenet", "cifar10"],
    "pictures": ["imagenet"],
}
# weights that nobody publishes, by profile and notebook
TRAINED = {("paper", "cifar10"): "results/weights/inception_v3_cifar10.safetensors"}
JND = [*Path("jnd").glob("*.py")]
COMPANION = [*Path("notebooks/companion").glob("*.py")]
# what loads machines and photos, which a folder's table and the live page depend on
LOADING = {
    "checkout", "efficientnet", "files", "listing", "parameters", "photos", "registry", "weights", "zoo",
}
SHARD_SOURCES = [f for f in COMPANION if f.stem in LOADING | {"checkpoint", "folder", "provenance"}]
LIVE_SOURCES = [f for f in COMPANION if f.stem in LOADING | {"style"}]
GENERATED = {"_build", "figures", "notebooks", "__pycache__"}  # inside book/

profiles = sorted(folder.name for folder in Path("notebooks/params").iterdir())
if PROFILE not in profiles:
    raise WorkflowError(f"unknown profile {PROFILE!r}: use one of {', '.join(profiles)}")

PARAMETERS = yaml.safe_load(Path("folder.yaml").read_text(encoding="utf-8"))
if unknown := sorted(config.keys() - {"profile", *PARAMETERS}):
    raise WorkflowError(f"unknown parameter {unknown[0]!r}: use profile, {', '.join(PARAMETERS)}")
for name, default in PARAMETERS.items():
    try:
        check_type(name, config[name], type(default).__name__)
    except TypeError as error:
        raise WorkflowError(str(error))
for name in ("images", "output", "weights", "save"):
    config[name] = os.path.expanduser(config[name])


rule all:
    input:
        # listed as well as the book, or deleted results would not be missed once there is a book
        expand("results/{profile}/{name}/metrics.json", profile=PROFILE, name=NOTEBOOKS),
        "book/_build/html/index.html",


def measured_files(notebook):
    """The files of data/measured that a notebook reads, by its calls of read_measured."""
    source = Path(f"notebooks/{notebook}.ipynb").read_text(encoding="utf-8")
    names = re.findall(r'read_measured\(\\"(\w+)\\"\)', source)
    return expand("data/measured/{name}.json", name=sorted(set(names)))


rule notebook:
    input:
        "data/registry.yaml",
        "data/paper.yaml",
        Path("data/weights").glob("*.safetensors"),
        JND,
        COMPANION,
        lambda wanted: expand(
            "results/{profile}/{name}/metrics.json",
            profile=wanted.profile, name=FOLLOWS.get(wanted.name, []),
        ),
        lambda wanted: measured_files(wanted.name),
        lambda wanted: TRAINED.get((wanted.profile, wanted.name), []),
        "notebooks/companion/studies/{name}.py",
        "notebooks/{name}.ipynb",
        "notebooks/params/{profile}/{name}.yaml",
    output:
        "results/{profile}/{name}/metrics.json",
    log:
        # the executed copy is kept when a cell fails
        "results/{profile}/{name}/executed.ipynb",
    # short ones mostly start a kernel, so several run at a time
    threads: lambda wanted: 1 if wanted.profile == "smoke" else workflow.cores
    params:
        bar=lambda _, threads: "" if threads == workflow.cores else "--no-bar",
    retries: 2
    priority: lambda wanted: len(NOTEBOOKS) - NOTEBOOKS.index(wanted.name)
    resources:
        gpu=1,
    shell:
        "{PYTHON} notebooks/run.py {wildcards.name} {wildcards.profile} {params.bar}"


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
        "echo 'Training for CIFAR-10: into {output}' && "
        "{PYTHON} data/recipes/cifar10.py {wildcards.architecture} --out {output}"
        " --checkpoint {output}.checkpoint"


rule claims:
    input:
        expand("results/{{profile}}/{name}/metrics.json", name=NOTEBOOKS),
        "data/paper.yaml",
        "data/verdicts.yaml",
        Path("data/measured").glob("*.json"),
        "book/_ext/claims.py",
        "book/_ext/intervals.py",
        "notebooks/companion/statistics.py",
    output:
        "results/{profile}/claims.json",
    shell:
        "echo 'Verdicts on the claims: into {output}' && "
        "{PYTHON} book/_ext/claims.py results/{wildcards.profile}"


rule live:
    input:
        "data/registry.yaml",
        JND,
        LIVE_SOURCES,
        "book/live/export.py",
        "notebooks/imagenet.ipynb",
        "notebooks/params/bundled/imagenet.yaml",
    output:
        directory("results/live"),
    shell:
        "echo 'The descent for the browser: into {output}' && {PYTHON} book/live/export.py {output}"


rule book:
    input:
        "results/live",
        f"results/{PROFILE}/claims.json",
        "CITATION.cff",
        "README.md",
        "data/prediction.yaml",
        "data/registry.yaml",
        Path("data/weights").glob("*"),
        JND,
        COMPANION,
        Path("data/measured").glob("*.json"),
        Path("data/replications").glob("*.json"),
        "data/speed.json",
        "data/scale.json",
        "data/paper_cost.json",
        [f for f in Path("book").rglob("*.*") if not GENERATED & {*f.parts}],
    output:
        "book/_build/html/index.html",
    shell:
        "echo 'The book: into {output}' && {PYTHON} book/build.py --profile {PROFILE} 1>&2"


TABLES = f"{config['output']}/shards"
SHARD = config["shard"]
if SHARD < 1:
    raise WorkflowError(f"shard = {SHARD}: a shard has at least 1 photo")
PHOTOS, OTHERS = list_photos(config["images"]) if config["images"] else ([], {})
RESULTS = [folder for folder in (config["output"], config["save"]) if folder]


onstart:
    if PHOTOS:
        for folder in RESULTS:
            claim(writable_folder(folder), config["images"])


@functools.cache
def number_of_shards():
    if not PHOTOS:
        raise WorkflowError(f"no JPEG or PNG in images={config['images']!r}: name a folder of photos")
    try:
        for folder in RESULTS:
            check_owner(folder, config["images"])
    except ValueError as error:
        raise WorkflowError(str(error))
    if OTHERS:
        print(left_out(config["images"], OTHERS), file=sys.stderr)
    return math.ceil(len(PHOTOS) / SHARD)


def shards(_):
    return expand(f"{TABLES}/{{number:05}}.parquet", number=range(number_of_shards()))


rule folder_shard:
    input:
        Path("data/weights").glob("*.safetensors"),
        JND,
        SHARD_SOURCES,
        config["weights"] if Path(config["weights"]).is_file() else [],
    output:
        f"{TABLES}/{{number}}.parquet",
    params:
        state=lambda shard: state_of(config["images"], shard_of(PHOTOS, int(shard.number), SHARD)),
        parameters=json.dumps({n: config[n] for n in PARAMETERS if n not in {"output", "shard"}}),
    retries: 2
    resources:
        gpu=1,
    shell:
        "{PYTHON} -m companion.folder shard {output:q} {params.parameters:q}"
        " {wildcards.number} {SHARD} {params.state}"


rule folder:
    input:
        shards,
    output:
        f"{config['output']}/jnd.parquet",
    params:
        number=lambda _, input: len(input),
    shell:
        "{PYTHON} -m companion.folder merge {output:q} {TABLES:q} {params.number}"
