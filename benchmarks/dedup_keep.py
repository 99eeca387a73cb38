"""Which file of a group is kept: how often the original, and what a plan would remove.

    python benchmarks/dedup_keep.py make FOLDER… --to suite --groups 2000 --seed 7
    python benchmarks/dedup_keep.py measure suite

A group is an original with one to six copies: saved again, resized, upscaled, turned, cropped,
framed, marked, recoloured, sent by a messenger. Originals are of 400 px to 12 MP, of good and poor
quality, with and without camera metadata; names, folders and times of files say something in most
groups and mislead in some.
"""

import argparse
import hashlib
import random
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import edits_a
import edits_b
from edited_copies import Kit
from keep_copies import large_photos, small_photos, write_group
from suite import Found, TrueFile, Truth, photos_in, run, share

GENERATORS = {"a": edits_a, "b": edits_b}


def main() -> None:
    options = read_arguments()
    if options.what == "make":
        make(options)
    else:
        measure(options.suite)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    making = commands.add_parser("make")
    making.add_argument("folders", nargs="+", type=Path)
    making.add_argument("--to", type=Path, required=True)
    making.add_argument("--generator", choices=sorted(GENERATORS), default="a")
    making.add_argument("--groups", type=int, default=2000)
    making.add_argument("--large", type=float, default=0.1, help="share of originals above 1.2 MP")
    making.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders with .ttf files")
    making.add_argument("--seed", default="7")
    commands.add_parser("measure").add_argument("suite", type=Path)
    return parser.parse_args()


def make(options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)  # noqa: S311
    paths = photos_in(options.folders)
    chance.shuffle(paths)
    fonts = sorted(path for folder in options.fonts for path in folder.rglob("*.ttf"))
    wanted = round(options.groups * options.large)
    truth: list[TrueFile] = []
    number = 0
    for source, count in ((large_photos(paths, chance), wanted), (small_photos(paths), None)):
        for photo in islice(source, options.groups - number if count is None else count):
            kit = Kit(random.Random(f"{options.seed} {number}"), fonts, paths)  # noqa: S311
            kinds = GENERATORS[options.generator].KINDS
            truth += write_group(photo, number, kit, options.to / "files", kinds=kinds)
            number += 1
    if number < options.groups:
        raise SystemExit(f"{options.groups} photos are needed, the folders gave {number}")
    Truth(options.seed, tuple(truth)).write(options.to)
    print(f"{len(truth)} files of {number} originals in {options.to}")


def measure(suite: Path) -> None:
    truth, found = Truth.read(suite), run(suite)
    files = {each.file: each for each in truth.files}
    content = {
        name: hashlib.sha256((suite / "files" / name).read_bytes()).digest() for name in files
    }
    group_of = {name: number for number, group in enumerate(found.groups) for name in group}
    equal, strict = [], []
    instead: Counter[str] = Counter()
    for original in (each for each in truth.files if each.original):
        if original.file in group_of:
            kept = found.kept[group_of[original.file]]
            strict.append(kept == original.file)
            equal.append(content[kept] == content[original.file])
            if not equal[-1]:
                same = files[kept].photo == original.photo
                instead[files[kept].kind if same else "another photo"] += 1
    print(f"{len(files)} files, {len(strict)} of {sum(each.original for each in truth.files)} "
          f"originals in a group, {found.seconds:.1f} s of CPU")  # fmt: skip
    print(f"kept: the original or a copy of the same bytes {share(equal):.4f}, the original's "
          f"own file {share(strict):.4f}")  # fmt: skip
    print(
        f"  kept instead: {', '.join(f'{kind} {count}' for kind, count in instead.most_common())}"
    )
    print_steps(files, content, found)


def print_steps(files: dict[str, TrueFile], content: dict[str, bytes], found: Found) -> None:
    """What is left of each photo after all steps are taken."""
    removed = {one for one, _ in found.steps}
    left: dict[str, list[TrueFile]] = defaultdict(list)
    for each in files.values():
        left[each.photo] += [each] if each.file not in removed else []
    originals = [each for each in files.values() if each.original]
    gone = [
        each for each in originals
        if content[each.file] not in {content[other.file] for other in left[each.photo]}
    ]  # fmt: skip
    unclean = sum(not any(each.clean for each in left[one.photo]) for one in originals)
    wrong = sum(files[one].photo != files[two].photo for one, two in found.steps)
    versions = sum(files[one].relation == "edited version" for one in removed)
    print(f"plan: {len(found.steps)} steps, {wrong} between different photos, {versions} remove an "
          f"edited version; of {len(originals)} photos {len(gone)} lose the original, {unclean} "
          f"the last clean picture")  # fmt: skip


if __name__ == "__main__":
    main()
