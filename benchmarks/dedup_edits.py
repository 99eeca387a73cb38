"""Edited copies of many kinds: what share is found in its original's group, and what is wrong.

    python benchmarks/dedup_edits.py make FOLDER… --to suite --generator a --photos 150 --seed 7
    python benchmarks/dedup_edits.py measure suite

Of each photo 12 to 20 copies of different kinds are made, a quarter of them by chains of two or
three edits; --distinct photos lie beside them. Generator `a` is there to develop on; `b` makes the
same kinds with other parameters, fonts, layouts and code: measure with it, do not tune on it. Each
draws from its own half of the photos.
"""

import argparse
import hashlib
import random
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import edits_a
import edits_b
from edited_copies import Kit, Saved, make_copy, write
from PIL import Image, ImageOps
from suite import Judge, TrueFile, Truth, names, photos_in, run, share

GENERATORS = {"a": edits_a, "b": edits_b}
LARGEST = 1600
FILLERS = 60


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
    making.add_argument("--photos", type=int, default=150)
    making.add_argument("--distinct", type=int, default=300)
    making.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders with .ttf files")
    making.add_argument("--seed", default="7")
    commands.add_parser("measure").add_argument("suite", type=Path)
    return parser.parse_args()


def make(options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)  # noqa: S311
    photos, distinct, fillers = draw(options, chance)
    fonts = sorted(path for folder in options.fonts for path in folder.rglob("*.ttf"))
    generator = GENERATORS[options.generator]
    kinds = cycle(shuffled(list(generator.KINDS), chance))
    name = names(21 * len(photos) + len(distinct), chance)
    files = options.to / "files"
    files.mkdir(parents=True)
    truth = []
    for number, source in enumerate([*photos, *distinct]):
        photo = f"{number:05d}"
        place = write_original(source, files / next(name))
        truth.append(TrueFile(place.name, photo, "original", "original", True))
        if number >= len(photos):
            continue
        with Image.open(place) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        kit = Kit(random.Random(f"{options.seed} {number}"), fonts, fillers)  # noqa: S311
        for position in range(chance.randint(12, 20)):
            called = "chain" if position % 4 == 3 else next(kinds)
            kind = generator.chain(kit.chance) if called == "chain" else generator.KINDS[called]
            made = write(make_copy(image, kind, kit), files / next(name))
            clean = kind.relation != "edited version"
            truth.append(TrueFile(made.name, photo, called, kind.relation, clean))
    Truth(options.seed, tuple(truth)).write(options.to)
    print(f"{len(truth)} files in {options.to}")


def draw(
    options: argparse.Namespace, chance: random.Random
) -> tuple[list[Path], list[Path], list[Path]]:
    """Photos to copy, distinct ones, and such that fill collages, from the generator's half."""
    mine = [
        path
        for path in photos_in(options.folders)
        if int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % 2
        == "ab".index(options.generator)
    ]
    count = options.photos + options.distinct + FILLERS
    if len(mine) < count:
        raise SystemExit(f"{count} photos are needed, this half of the folders holds {len(mine)}")
    chosen = chance.sample(mine, count)
    cut = options.photos + options.distinct
    return chosen[: options.photos], chosen[options.photos : cut], chosen[cut:]


def shuffled(kinds: list[str], chance: random.Random) -> list[str]:
    chance.shuffle(kinds)
    return kinds


def write_original(source: Path, path: Path) -> Path:
    """The file as it is, or scaled to LARGEST where a side is longer."""
    with Image.open(source) as photo:
        if max(photo.size) > LARGEST:
            small = ImageOps.contain(photo.convert("RGB"), (LARGEST, LARGEST))
            return write(Saved(small, ".jpg", {"quality": 92}), path)
    place = path.with_suffix(source.suffix.lower())
    shutil.copyfile(source, place)
    return place


def measure(suite: Path) -> None:
    truth = Truth.read(suite)
    found = run(suite)
    judge, files = Judge(truth), {each.file: each for each in truth.files}
    together = set(found.pairs())
    verdicts = [judge.pair(files[one], files[two]) for one, two in together]
    right, wrong = verdicts.count(True), verdicts.count(False)
    there = _pairs_there(truth.files)
    print(f"{len(files)} files, {len(found.groups)} groups, {found.seconds:.1f} s of CPU")
    print(f"pairs: precision {right / max(right + wrong, 1):.4f} ({wrong} wrong), "
          f"recall {right / there:.4f} of {there}")  # fmt: skip
    print_kinds(truth.files, together)
    print_relations(files, found.relations)
    print_steps(files, found.steps, judge)


def _pairs_there(files: Sequence[TrueFile]) -> int:
    counts: dict[str, int] = defaultdict(int)
    for each in files:
        counts[each.photo] += 1
    return sum(count * (count - 1) // 2 for count in counts.values())


def print_kinds(files: Sequence[TrueFile], together: set[tuple[str, str]]) -> None:
    originals = {each.photo: each.file for each in files if each.original}
    hits: dict[str, list[bool]] = defaultdict(list)
    for each in files:
        if not each.original:
            one, two = sorted((each.file, originals[each.photo]))
            hits[each.kind].append((one, two) in together)
    for kind, found in sorted(hits.items(), key=lambda each: share(each[1])):
        print(f"  {kind:22} {share(found):.3f} of {len(found)} in the group of the original")
    everything = [hit for found in hits.values() for hit in found]
    print(f"  {'all':22} {share(everything):.3f} of {len(everything)}")


def print_relations(files: dict[str, TrueFile], said: Mapping[tuple[str, str], str]) -> None:
    """How often the relation is the true one, of the copies in a group that keeps the original."""
    table: dict[tuple[str, str], int] = defaultdict(int)
    for (other, kept), relation in said.items():
        if files[kept].original and files[other].photo == files[kept].photo:
            table[files[other].relation, relation] += 1
    for (true, relation), count in sorted(table.items()):
        print(f"  relation {true!r} reported as {relation!r}: {count}")


def print_steps(files: dict[str, TrueFile], steps: Sequence[tuple[str, str]], judge: Judge) -> None:
    verdicts = [judge.pair(files[removed], files[kept]) for removed, kept in steps]
    away = [files[removed] for removed, _ in steps]
    versions = sum(each.relation == "edited version" for each in away)
    lost = sum(each.original for each in away)
    unclean = sum(files[one].clean and not files[two].clean for one, two in steps)
    print(f"plan: {len(steps)} steps, {verdicts.count(False)} between different photos, {lost} "
          f"remove an original, {versions} remove an edited version, {unclean} remove a clean "
          f"picture for one that is not")  # fmt: skip


if __name__ == "__main__":
    main()
