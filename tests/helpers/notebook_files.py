"""The files that each notebook leaves, in an order in which the notebooks can run."""

FILES = {
    "idea": "psychometric.png paths.png ways.png arms.csv step-sizes.csv metrics.json",
    "reading": "choices.png by-weight.png towards.csv metrics.json",
    "imagenet": "flow-time.png fig1.png jod-flow-time.png people.csv jod.csv seen.png fig2-a.png "
    "fig2-b.png perturbation.png perturbation-end.png k.png terms.csv k-of-pictures.png "
    "in-8-bits.csv table1.csv alone.csv viewer.json viewer.safetensors images.safetensors "
    "metrics.json",
    "pictures": "ways.csv found.png side-by-side.png survival.png survives.csv saved metrics.json",
    "derivation": "plateau.csv trap.csv trap.png one-run.csv one-run-with.csv "
    "drift.csv rest.csv alpha.png predictions.png metrics.json",
    "cifar10": "fig4.png jod.csv k.png table2.csv table2-of-8.csv yardsticks.csv pull.csv "
    "paired-test.csv paired-test-small.csv differences.png change-ratio.csv "
    "images.safetensors metrics.json",
    "detection": "before.csv fig3.png confidence.csv curves-box.png curves-class.png "
    "balance.csv perturbation.png inside.csv k.png in-8-bits.csv quality.csv jod.csv "
    "open.csv images.safetensors metrics.json",
    "forensics": "noise.png table1.png table1-by-number.csv table1-by-chance.csv table1-best.csv "
    "table2.png table2-by-number.csv table2-by-chance.csv table2-best.csv metrics.json",
    "comparison": "settings.csv comparison.csv intervals.csv in-8-bits.csv side-by-side.png "
    "gradients.png shrinking-steps.png gap.csv least.csv verdict.csv metrics.json",
    "psychometrics": "jnd.png jnd.csv psychometric.png thresholds.csv levels.csv jod.csv weber.png "
    "weber.csv dependence.png dependence.csv metrics.json",
}
