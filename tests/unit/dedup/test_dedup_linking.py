"""Links between verified clusters: parts of collages, shared captions, representatives."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageOps

import mmsearch
from mmsearch.dedup.cache.comparison_cache import ComparisonCache
from mmsearch.dedup.cache.database import CacheDatabase
from mmsearch.dedup.find import find_duplicates
from mmsearch.dedup.grouping.linking import Representatives, supported
from mmsearch.dedup.grouping.verification import Cluster, Comparer, Verifier
from mmsearch.dedup.items import read_items
from mmsearch.dedup.options import DedupOptions, parse_tiers
from mmsearch.media import MediaBounds
from mmsearch.progress import NullProgress
from mmsearch.store import Store
from tests.support.generated_images import photo

Verified = Callable[[dict[str, Image.Image]], tuple[Verifier, dict[str, int]]]


@pytest.fixture
def verified(tmp_path: Path) -> Verified:
    """Indexes images, the first one the oldest; returns a verifier and their indices by name."""

    def made(images: dict[str, Image.Image]) -> tuple[Verifier, dict[str, int]]:
        folder = tmp_path / "files"
        folder.mkdir()
        for age, (name, image) in enumerate(images.items()):
            image.save(folder / f"{name}.png")
            os.utime(folder / f"{name}.png", (1_000_000 + age, 1_000_000 + age))
        mmsearch.open(tmp_path / "store").index(folder)
        items = read_items(Store.open(tmp_path / "store"), None, ())
        cache = ComparisonCache(CacheDatabase(tmp_path))
        comparer = Comparer(items, cache, MediaBounds(), NullProgress())
        return Verifier(items, comparer, ()), {Path(it.uri).stem: n for n, it in enumerate(items)}

    return made


def test_a_link_by_a_caption_alone_is_dropped(verified: Verified) -> None:
    images = {"one": photo(1), "two": photo(2)}
    for name in ("one", "two"):
        images[f"{name} captioned"] = ImageOps.expand(photo({"one": 1, "two": 2}[name]), 30, "red")
    verifier, at = verified(images)
    links = [(at["one"], at["one captioned"]), (at["two"], at["two captioned"])]
    wrong = (at["one captioned"], at["two captioned"])
    alike = verifier.comparer.compare(*links[0])
    assert alike is not None
    assert alike.judgement == "edited version"
    hashes = sorted(verifier.items[place].image_hash for place in wrong)
    verifier.comparer.cache.add({(hashes[0], hashes[1]): alike})
    assert verifier.alike(*wrong)
    assert sorted(supported([*links, wrong], (), verifier)) == sorted(links)


def test_a_link_between_copies_of_one_image_stays(verified: Verified) -> None:
    image = photo(3)
    images = {
        "whole": image,
        "small": image.resize((240, 180)),
        "crop": image.crop((40, 30, 440, 330)),
        "small crop": image.crop((40, 30, 440, 330)).resize((200, 150)),
    }
    verifier, at = verified(images)
    link = (at["whole"], at["crop"])
    members = [(at["small"], at["whole"]), (at["small crop"], at["crop"])]
    assert supported([link], members, verifier) == [link]


def test_the_representative_shows_what_most_members_show(verified: Verified) -> None:
    image = photo(4)
    images = {
        "framed": ImageOps.expand(image, (0, 0, 0, 60), "white"),
        "grey": image.convert("L").convert("RGB"),
        "image": image,
        "again": image.point(lambda level: min(255, level + 1)),
        "cropped": image.crop((60, 20, 480, 340)),
    }
    verifier, at = verified(images)
    centre = at["framed"]
    bonds = tuple((centre, at[name]) for name in images if name != "framed")
    verifier.comparer.prepare(bonds, "comparing")
    cluster = Cluster(centre, tuple(sorted(at.values())), bonds)
    assert Representatives(verifier.items, verifier.comparer).of(cluster) == at["image"]
    alone = replace(cluster, places=(centre,), bonds=())
    assert Representatives(verifier.items, verifier.comparer).of(alone) == centre


def test_a_collage_does_not_join_the_photos_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for seed in (5, 6):
        photo(seed).save(folder / f"{seed}.png")
        photo(seed).save(folder / f"{seed}.jpg", quality=80)
    sheet = Image.new("RGB", (480, 620), "white")
    sheet.paste(photo(5), (0, 0))
    sheet.paste(photo(6).resize((320, 240)), (80, 370))
    sheet.save(folder / "collage.png")
    mmsearch.open(tmp_path / "store").index(folder)
    options = DedupOptions(tiers=parse_tiers("bytes,pixels,edited"))
    report = find_duplicates(tmp_path / "store", options, MediaBounds(), NullProgress())
    groups = sorted(sorted(Path(item.uri).name for item in group.items) for group in report.groups)
    assert groups == [["5.jpg", "5.png", "collage.png"], ["6.jpg", "6.png"]]
