"""imagededup's hashes over one folder, each at the distance that serves it best, as JSON.

    PYTHON benchmarks/dedup_peer.py FOLDER

PYTHON has imagededup installed. Files made from one photograph share what stands before the first
underscore of their names. Seconds are for encoding and for one search at the best distance, which
is chosen beforehand and not timed.
"""

import json
import resource
import sys
import time
from collections.abc import Mapping

import numpy as np
from imagededup.methods import DHash, PHash, WHash

BITS = 64
BLOCK = 256


def main() -> None:
    results = {method.__name__: measured(method, sys.argv[1]) for method in (PHash, DHash, WHash)}
    print(json.dumps(results))


def measured(method: type, folder: str) -> dict[str, float]:
    started = seconds()
    tool = method(verbose=False)
    codes = tool.encode_images(image_dir=folder)
    encoding = seconds() - started
    distance = best_distance(codes)
    started = seconds()
    found = tool.find_duplicates(encoding_map=codes, max_distance_threshold=distance)
    searching = seconds() - started
    pairs = {(min(one, two), max(one, two)) for one, others in found.items() for two in others}
    right = sum(photo_of(one) == photo_of(two) for one, two in pairs)
    wall, used = (encoding + searching).tolist()
    return {
        "distance": distance,
        "right": right,
        "listed": len(pairs),
        "encoding": encoding[0],
        "seconds": wall,
        "cpu": used,
    }


def seconds() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of the clock, and of CPU with that of finished workers."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.monotonic(), sum(each.ru_utime + each.ru_stime for each in used)])


def best_distance(codes: Mapping[str, str]) -> int:
    """The distance up to which pairs have the highest F1."""
    photos = np.unique([photo_of(name) for name in codes], return_inverse=True)[1]
    hashes = np.array([int(code, 16) for code in codes.values()], np.uint64)
    right, every = np.zeros(BITS + 1, np.int64), np.zeros(BITS + 1, np.int64)
    for start in range(0, len(hashes), BLOCK):
        rows = slice(start, start + BLOCK)
        apart = np.bitwise_count(hashes[rows, None] ^ hashes)
        after = np.arange(len(hashes)) > np.arange(len(hashes))[rows, None]
        same = photos[rows, None] == photos
        every += np.bincount(apart[after], minlength=BITS + 1)
        right += np.bincount(apart[after & same], minlength=BITS + 1)
    f1 = 2 * right.cumsum() / (every.cumsum() + right.sum()).clip(1)
    return int(f1.argmax())


def photo_of(name: str) -> str:
    return name.split("_")[0]


if __name__ == "__main__":
    main()
