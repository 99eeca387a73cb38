"""How fast an encoder is: pictures and texts per second, and the time of a single query.

    python benchmarks/encode.py --model builtin --threads 2
    python benchmarks/encode.py --pictures FOLDER

Wall time says what a user sees on an idle machine; CPU time is steadier on a busy one. With a
folder, reading and preparing its pictures in this process is timed apart.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mmsearch.encoders.base import Encoder, TextEncoder
from mmsearch.encoders.registry import load_encoder, load_text_encoder
from mmsearch.errors import InputError
from mmsearch.media import decode, prepare

QUERIES = ("a red apple", "a small brown dog lying on the grass beside a bicycle", "word " * 200)
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pictures", type=Path, help="a folder of pictures to read as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Before torch starts threads, which would compete with those of NumPy while they wait.
    report_texts("text encoder", load_text_encoder(options.model, device=options.device))
    encoder = load_encoder(options.model, device=options.device)
    report_pictures(encoder, options.batch)
    report_texts("full encoder", encoder)
    if options.pictures:
        report_reading(encoder, options.pictures)


def report_pictures(encoder: Encoder, batch: int) -> None:
    side = encoder.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    wall, cpu = best(lambda: encoder.encode_pixels(pixels))
    print(f"pictures, batch of {batch}: {batch / wall:.1f}/s, {batch / cpu:.1f} per CPU second")


def report_texts(name: str, encoder: TextEncoder) -> None:
    for query in QUERIES:
        times = []
        for _ in range(20):
            started = time.perf_counter()
            encoder.encode_texts([query])
            times.append(time.perf_counter() - started)
        middle, least = 1e3 * float(np.median(times)), 1e3 * min(times)
        print(f"{name}, one text of {len(query)} letters: {middle:.1f} ms, at best {least:.1f} ms")
    texts = [f"a photo of a small brown dog number {number}" for number in range(256)]
    wall, cpu = best(lambda: encoder.encode_texts(texts))
    print(f"{name}, 256 texts: {256 / wall:.0f}/s, {256 / cpu:.0f} per CPU second")


def report_reading(encoder: Encoder, folder: Path) -> None:
    """Decoding in this process, one after another: what a single worker can do."""
    squares, started = [], time.perf_counter()
    for path in sorted(folder.rglob("*"))[:256]:
        try:
            squares.append(prepare(decode(path).image, encoder.preprocessing))
        except (InputError, IsADirectoryError):
            continue
    seconds = time.perf_counter() - started
    print(f"decoding: {len(squares) / seconds:.1f}/s over {len(squares)} files")
    pixels, started = np.stack(squares), time.perf_counter()
    encoder.encode_pixels(pixels)
    print(f"encoding them: {len(squares) / (time.perf_counter() - started):.1f}/s")


def best(work: Callable[[], object]) -> tuple[float, float]:
    """The least wall time and the least CPU time of a few rounds, in seconds."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


if __name__ == "__main__":
    main()
