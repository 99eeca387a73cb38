"""Draws the curves of a run of `mmsearch train` from its metrics.jsonl.

    python tools/plot_training.py RUN_FOLDER OUT.png

One panel for each stage, every part of its loss in it; steps are smoothed, validations are dots.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

TITLES = {
    "word_vectors": "word vectors",
    "distill": "text tower",
    "align": "alignment",
    "backbone": "backbone",
    "validation": "held-out images",
}


def read_stages(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Returns the lines of each stage, in the order of the stages."""
    stages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in file.read_text("utf-8").splitlines():
        values = json.loads(line)
        stages[values.pop("stage")].append(values)
    return {name: stages[name] for name in TITLES if name in stages}


def draw(panel: Axes, name: str, lines: list[dict[str, Any]]) -> None:
    """Draws every metric of a stage into one panel."""
    steps = [line["step"] for line in lines]
    for part in lines[0]:
        if part not in {"step", "norm", "rate"}:
            values = np.array([line[part] for line in lines])
            window = max(1, len(values) // 50)
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            style = "o-" if name == "validation" else "-"
            panel.plot(steps[window - 1 :], smooth, style, label=part, linewidth=1.2, markersize=3)
    panel.set_title(TITLES[name])
    panel.set_xlabel("step")
    panel.legend(fontsize=7, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)


def main(run: Path, out: Path) -> None:
    """Draws the curves of the run in the folder `run` into the file `out`."""
    stages = read_stages(run / "metrics.jsonl")
    _, panels = plt.subplots(1, len(stages), figsize=(3.2 * len(stages), 3), squeeze=False)
    for panel, (name, lines) in zip(panels[0], stages.items(), strict=True):
        draw(panel, name, lines)
    plt.tight_layout()
    plt.savefig(out, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/plot_training.py RUN_FOLDER OUT.png")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
