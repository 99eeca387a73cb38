"""Measures how fast a CSV table is parsed and typed, and the memory that it takes.

    python benchmarks/tables.py [--rows 100000] [--runs 3]

Writes a table of 12 columns as shops export them, then reads it in a fresh process each run: the
survey of all its columns, and all rows with their cells converted. Prints the median.
"""

import argparse
import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from mmsearch.sources.rows import Row
from mmsearch.sources.survey import survey
from mmsearch.sources.table_files import open_rows
from mmsearch.sources.typed_rows import typed_rows
from mmsearch.sources.values import convert

_WORDS = [
    "red",
    "green",
    "fresh",
    "soft",
    "cotton",
    "steel",
    "garden",
    "kitchen",
    "summer",
    "small",
    "large",
    "round",
]


def main() -> None:
    """Parses the arguments and prints rows a second and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        write(file, given.rows)
        print(f"{given.rows:,} rows, 12 columns, {file.stat().st_size / 1e6:.0f} MB of CSV")
        runs = []
        for _ in range(given.runs):
            command = [sys.executable, __file__, "--read", str(file)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append([float(word) for word in output.split()])
            print(
                "  survey {:.2f} s, rows {:.2f} s, CPU {:.2f} s, peak {:.0f} MB".format(*runs[-1])
            )
    seconds = median(run[0] + run[1] for run in runs)
    cpu = median(run[2] for run in runs)
    print(
        f"median {seconds:.2f} s: {given.rows / seconds:,.0f} rows a second "
        f"({given.rows / cpu:,.0f} by CPU time)"
    )


def write(file: Path, count: int) -> None:
    """Writes a table with codes, prices, dates, booleans, tags and texts."""
    chance = random.Random(0)  # noqa: S311  not for secrets
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(
            [
                "id",
                "sku",
                "title",
                "description",
                "price",
                "weight",
                "stock",
                "added",
                "active",
                "brand",
                "tags",
                "image",
            ]
        )
        for number in range(count):
            words = chance.choices(_WORDS, k=12)
            price = chance.randrange(100, 100_000) / 100
            day = f"2025-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
            table.writerow(
                [
                    number, f"A{number:07}", " ".join(words[:3]), " ".join(words), price,
                    chance.randrange(5_000), chance.randrange(50), day,
                    chance.choice(["true", "false"]), words[0], "; ".join(words[1:4]),
                    f"images/{number}.jpg",
                ]
            )  # fmt: skip


def read(file: Path) -> None:
    """Reads a table and prints seconds of the survey and of the rows, of CPU, and MB of memory."""
    start, cpu = time.perf_counter(), time.process_time()
    rows = open_rows(file)
    typed, found = typed_rows(rows, survey(rows))
    surveyed = time.perf_counter()
    for row in typed:
        if isinstance(row, Row):
            for name, kind in found.kinds.items():
                convert(row.cells[name], kind)
    end = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(surveyed - start, end - surveyed, time.process_time() - cpu, memory)


if __name__ == "__main__":
    main()
