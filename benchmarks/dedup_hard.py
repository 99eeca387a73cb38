"""Pictures that are alike and not copies: how many are joined, and how many a plan would remove.

    python benchmarks/dedup_hard.py make FOLDER… --to suite --families 12 --neighbours 1500 --seed 7
    python benchmarks/dedup_hard.py measure suite

The nearest neighbours among real photos, bursts, garments recoloured, templates with many contents,
documents of one layout. Each family has --members of them, all different. Of some documents a
second scan lies there as well (tilted, noisy, grey, poor JPEG), which has to be found.
"""

import argparse
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from documents import DOCUMENTS
from lookalikes import LOOKALIKES, Scene
from neighbours import nearest_pairs
from pens import Pens
from PIL import Image, ImageChops
from suite import Judge, TrueFile, Truth, names, photos_in, run, share

SCANNED = ("letter", "invoice", "book page", "form", "table", "music")


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
    making.add_argument("--families", type=int, default=12, help="of each kind")
    making.add_argument("--members", type=int, default=6)
    making.add_argument("--neighbours", type=int, default=1500, help="pairs of real photos")
    making.add_argument("--alike", type=Path, help="photos that are one: dedup_alike.txt")
    making.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders with .ttf files")
    making.add_argument("--seed", default="7")
    commands.add_parser("measure").add_argument("suite", type=Path)
    return parser.parse_args()


def make(options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)  # noqa: S311
    photos = photos_in(options.folders)
    fonts = sorted(path for folder in options.fonts for path in folder.rglob("*.ttf"))
    files = options.to / "files"
    files.mkdir(parents=True)
    kinds = len(DOCUMENTS) + len(LOOKALIKES)
    pairs = nearest_pairs(photos, options.neighbours) if options.neighbours else []
    name = names(2 * kinds * options.families * options.members + 2 * len(pairs) + 2, chance)
    truth = [*real_photos(photos, pairs, files, name)]
    # A card that shows a neighbour would truly hold another image of the suite.
    shown = {place for pair in pairs for place in pair}
    photos = [photo for place, photo in enumerate(photos) if place not in shown]
    for kind in (*DOCUMENTS, *LOOKALIKES):
        for family in range(options.families):
            own = random.Random(f"{options.seed} {kind} {family}")  # noqa: S311
            own_photos = own.sample(photos, min(40 * options.members, len(photos)))
            truth += write_family(
                kind, f"{kind} {family}", files, name,
                members=options.members, photos=own_photos, fonts=fonts, seed=options.seed,
            )  # fmt: skip
    alike = read_alike(options.alike) if options.alike else ()
    Truth(options.seed, tuple(truth), alike).write(options.to)
    print(f"{len(truth)} files in {options.to}")


def read_alike(path: Path) -> tuple[tuple[str, str], ...]:
    """Two names of files a line: photos that people would call one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return tuple((one, two) for one, two in words)


def real_photos(
    photos: Sequence[Path], pairs: Sequence[tuple[int, int]], files: Path, name: Iterator[str]
) -> Iterator[TrueFile]:
    """The photos of the pairs, each once; `photo` is the name that the data set gives it."""
    for place in sorted({place for pair in pairs for place in pair}):
        source = photos[place]
        target = files / f"{next(name)}{source.suffix.lower()}"
        shutil.copyfile(source, target)
        yield TrueFile(target.name, source.name, "neighbour", "original", True, "neighbours")


def write_family(
    kind: str, family: str, files: Path, name: Iterator[str], *,
    members: int, photos: Sequence[Path], fonts: Sequence[Path], seed: str,
) -> Iterator[TrueFile]:  # fmt: skip
    for member in range(members):
        pens = Pens(
            style=random.Random(f"{seed} {family}"),  # noqa: S311
            content=random.Random(f"{seed} {family} {member}"),  # noqa: S311
            fonts=fonts,
        )
        if kind in DOCUMENTS:
            made = DOCUMENTS[kind](pens)
        else:
            half = len(photos) // 2
            own = photos[half + member :: members]
            made = LOOKALIKES[kind](Scene(pens, photos[:half], own, member / members))
        photo = f"{family} {member}"
        yield _saved(made, kind, photo, "original", family, files / next(name), pens.content)
        if kind in SCANNED and member < members // 2:
            again, called = scanned(made, pens.content), f"{kind}, scanned again"
            yield _saved(
                again, called, photo, "edited version", family, files / next(name), pens.content
            )


def _saved(
    made: Image.Image, kind: str, photo: str, relation: str, family: str, path: Path,
    chance: random.Random,
) -> TrueFile:  # fmt: skip
    if made.mode == "RGBA" or chance.random() < 0.3:
        path = path.with_suffix(".png")
        made.save(path)
    else:
        path = path.with_suffix(".jpg")
        made.save(path, quality=30 if relation != "original" else chance.randint(75, 95))
    return TrueFile(path.name, photo, kind, relation, relation == "original", family)


def scanned(page: Image.Image, chance: random.Random) -> Image.Image:
    """Turned by up to 2.5 degrees, noisy, with a shadow at one side, half of them grey."""
    degrees = chance.choice((-1, 1)) * chance.uniform(0.4, 2.5)
    turned = page.convert("RGB").rotate(degrees, Image.Resampling.BICUBIC, fillcolor="#f0f0ee")
    factor = chance.uniform(0.7, 1.2)
    turned = turned.resize((round(turned.width * factor), round(turned.height * factor)))
    light = Image.linear_gradient("L").resize(turned.size).point([200 + n // 5 for n in range(256)])
    shaded = ImageChops.multiply(turned, Image.merge("RGB", (light,) * 3))
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, 6, (*shaded.size[::-1], 3))
    levels = np.clip(np.asarray(shaded) + noise, 0, 255).astype(np.uint8)
    image = Image.fromarray(levels)
    return image.convert("L") if chance.random() < 0.5 else image


def measure(suite: Path) -> None:
    truth, found = Truth.read(suite), run(suite)
    judge, files = Judge(truth), {each.file: each for each in truth.files}
    joined, planned = Counter[str](), Counter[str]()
    for one, two in found.pairs():
        if judge.pair(files[one], files[two]) is False:
            joined[_kind(files[one], files[two])] += 1
    for one, two in found.steps:
        if judge.pair(files[one], files[two]) is False:
            planned[_kind(files[one], files[two])] += 1
    listed = dict(hard_pairs(truth.files))
    print(f"{len(files)} files, {sum(listed.values())} pairs that are alike, {found.seconds:.1f} s "
          f"of CPU: {sum(joined.values())} joined, {sum(planned.values())} planned")  # fmt: skip
    for kind in sorted({*listed, *joined, *planned}):
        print(
            f"  {kind:26} {listed.get(kind, 0):6} pairs, {joined[kind]} joined, "
            f"{planned[kind]} planned"
        )
    print_scans(truth.files, set(found.pairs()))


def _kind(one: TrueFile, two: TrueFile) -> str:
    kinds = sorted({each.kind.removesuffix(", scanned again") for each in (one, two)})
    return kinds[0] if len(kinds) == 1 else "of two kinds"


def hard_pairs(files: Sequence[TrueFile]) -> Iterator[tuple[str, int]]:
    """How many pairs of each kind lie in one family; of neighbours, about three a photo."""
    families: dict[str, list[TrueFile]] = defaultdict(list)
    for each in files:
        families[each.family].append(each)
    counts: Counter[str] = Counter()
    for family, members in families.items():
        if family == "neighbours":
            counts["neighbour"] = len(members)
            continue
        counts[_kind(members[0], members[0])] += sum(
            one.photo != two.photo for one, two in combinations(members, 2)
        )
    yield from counts.items()


def print_scans(files: Sequence[TrueFile], together: set[tuple[str, str]]) -> None:
    originals = {each.photo: each.file for each in files if each.original}
    hits: dict[str, list[bool]] = defaultdict(list)
    for each in files:
        if not each.original:
            one, two = sorted((each.file, originals[each.photo]))
            hits[each.kind].append((one, two) in together)
    for kind, found in sorted(hits.items()):
        print(f"  {kind:26} {share(found):.3f} of {len(found)} found")


if __name__ == "__main__":
    main()
