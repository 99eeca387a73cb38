"""Fine-tunes on the grocery photos as a user would, and prints accuracies and times.

    python benchmarks/finetune.py --grocery PATH --work FOLDER --method head

Writes a table (image, title, description, class, split), runs what `mmsearch finetune` runs, and
measures start and tuned model on the validation photos: 81-way zero-shot accuracy by class title.
"""

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np

from mmsearch.encoders.registry import load_encoder
from mmsearch.evaluation.labels import NONE, LabelledItem
from mmsearch.evaluation.zero_shot import TEMPLATES, class_task, predict
from mmsearch.finetuning.options import read_options
from mmsearch.finetuning.run import finetune
from mmsearch.media import MediaBounds, decode
from mmsearch.sources import SourceOptions, open_source

BATCH = 32
Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grocery", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a new folder")
    parser.add_argument("--method", default="head")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    rows = read_grocery(given.grocery)
    table = given.work / "grocery.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows):,} photos; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    listener = Stages()
    began = time.monotonic()
    done = finetune(
        [open_source(table, name="grocery", options=SourceOptions())],
        read_options(
            given.set,
            model=given.model,
            method=given.method,
            classes="class",
            split_column="split",
            text_columns=("title", "description"),
            out=given.work / "model",
        ),
        progress=listener,
    )
    seconds = time.monotonic() - began
    listener.start("end", None)
    assert done is not None
    before, after = (accuracy(name, rows) for name in (given.model, str(done.folder)))
    outcome = done.outcome
    general = outcome.general_start.score, outcome.general_tuned.score
    print(f"zero-shot accuracy on val: {before:.3f} → {after:.3f} ({after - before:+.3f})")
    print(f"general: {general[0]:.3f} → {general[1]:.3f} ({general[1] / general[0]:.1%} kept)")
    for stage, spent in listener.spent.items():
        print(f"{spent:8.1f} s  {stage}")
    print(f"{seconds:8.1f} s  in all; load {os.getloadavg()[0]:.1f}")


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._stage, self._since = "before", time.monotonic()

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        now = time.monotonic()
        self.spent[self._stage] = self.spent.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def advance(self, count: int) -> None:
        return

    def note(self, message: str) -> None:
        print(message, flush=True)

    def status(self, message: str) -> None:
        return


def read_grocery(folder: Path) -> list[Row]:
    """Returns a row for each photo of train.txt and val.txt."""
    with (folder / "classes.csv").open(newline="", encoding="utf-8") as file:
        known = {row[1]: row for row in list(csv.reader(file))[1:]}
    rows = []
    for split in ("train", "val"):
        for line in (folder / f"{split}.txt").read_text("utf-8").splitlines():
            image, number, _ = (part.strip() for part in line.split(","))
            name, described = known[number][0], folder / known[number][5].lstrip("/")
            rows.append(
                {
                    "image": str((folder / image).absolute()),
                    "title": name.replace("-", " "),
                    "description": " ".join(described.read_text("utf-8", "replace").split()),
                    "class": name,
                    "split": split,
                }
            )
    return rows


def accuracy(model: str, rows: list[Row]) -> float:
    """Returns a model's zero-shot accuracy on the validation photos, among all class titles."""
    encoder = load_encoder(model, device="cpu")
    photos = [row for row in rows if row["split"] == "val"]
    items = [
        LabelledItem(row["image"], at, NONE, row["class"], None) for at, row in enumerate(photos)
    ]
    task = class_task(items, TEMPLATES, sorted({row["class"] for row in rows}))
    vectors = []
    for at in range(0, len(photos), BATCH):
        files = [Path(row["image"]) for row in photos[at : at + BATCH]]
        vectors.append(
            encoder.encode_images([decode(file, bounds=MediaBounds()).image for file in files])
        )
    named = predict(task, np.concatenate(vectors), encoder.encode_texts(task.prompts))
    return float((named == task.actual).mean())


if __name__ == "__main__":
    main()
