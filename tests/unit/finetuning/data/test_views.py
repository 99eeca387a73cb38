"""Views: the plain one is the encoder's own, random ones depend on seed, item and number alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmsearch.errors import ConfigError, UnreadableMedia
from mmsearch.finetuning.data.sampling import PLAIN_VIEW
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingItem, TrainingSet
from mmsearch.finetuning.data.views import ImageViews, PlainViewCache
from mmsearch.media import MediaBounds, Preprocessing, decode, prepare, read_image
from mmsearch.training.augment import AugmentOptions

SPEC = Preprocessing(size=32)
STILL: dict[str, Any] = {
    "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "blur": 0.0, "grey": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """Six images, the last of them cut short, and an item without one."""
    folder = tmp_path_factory.mktemp("images")
    items = []
    for n in range(6):
        spots = np.random.default_rng(n).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        large = Image.fromarray(spots).resize((160, 120), Image.Resampling.BICUBIC)
        large.save(folder / f"{n}.jpg", quality=90)
        items.append(TrainingItem(f"goods/{n}", folder / f"{n}.jpg", ("x",), n, UNLABELLED))
    whole = (folder / "5.jpg").read_bytes()
    (folder / "5.jpg").write_bytes(whole[: len(whole) // 3])
    return TrainingSet([*items, TrainingItem("goods/6", None, ("x",), 6, UNLABELLED)])


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_the_plain_view_is_what_the_encoder_sees(catalog: TrainingSet, mode: Any) -> None:
    spec = Preprocessing(size=32, mode=mode)
    path = catalog.items[0].image
    assert path is not None
    found = ImageViews(catalog, spec).pixels(0, PLAIN_VIEW)
    assert np.array_equal(found, read_image(path, spec=spec).pixels)


def test_a_view_depends_on_seed_item_and_number_alone(catalog: TrainingSet) -> None:
    items, numbers = np.array([0, 1, 2, 3, 4] * 4), np.repeat(np.arange(4), 5)
    together, _ = ImageViews(catalog, SPEC, threads=4).batch(items, numbers)
    alone = ImageViews(catalog, SPEC, threads=1)
    backwards = [
        alone.pixels(int(i), int(v)) for i, v in zip(items[::-1], numbers[::-1], strict=True)
    ]
    assert np.array_equal(together, np.stack(backwards[::-1]))
    assert together.shape == (20, 32, 32, 3)
    assert together.dtype == np.uint8
    assert len({view.tobytes() for view in together}) == 20
    assert not np.array_equal(ImageViews(catalog, SPEC, seed=1).pixels(0, 0), together[0])


@pytest.mark.parametrize("most", [2**20, 3 * 32 * 32, 0])
def test_kept_plain_views_are_those_that_are_decoded(catalog: TrainingSet, most: int) -> None:
    kept = PlainViewCache(ImageViews(catalog, SPEC), SPEC.size, max_bytes=most)
    for items in (np.array([0, 5, 6, 0]), np.array([4, 0, 1]), np.array([1, 6, 5])):
        pixels, readable = kept(items)
        plain, could = ImageViews(catalog, SPEC).batch(items, np.full(len(items), PLAIN_VIEW))
        assert np.array_equal(pixels, plain)
        assert np.array_equal(readable, could)


def test_a_kept_view_needs_its_file_no_more(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.new("RGB", (40, 40), "teal").save(path)
    catalog = TrainingSet([TrainingItem("goods/1", path, ("x",), 0, UNLABELLED)])
    kept = PlainViewCache(ImageViews(catalog, SPEC), SPEC.size)
    before, _ = kept(np.array([0]))
    path.unlink()
    after, readable = kept(np.array([0, 0]))
    assert readable.all()
    assert np.array_equal(after, np.concatenate([before, before]))


def test_where_an_item_stands_does_not_matter(catalog: TrainingSet) -> None:
    turned = TrainingSet(catalog.items[::-1])
    assert np.array_equal(
        ImageViews(catalog, SPEC).pixels(1, 3), ImageViews(turned, SPEC).pixels(5, 3)
    )


def test_without_augmentation_the_whole_image_is_left(catalog: TrainingSet) -> None:
    still = AugmentOptions(least_area=1.0, most_stretch=1.0, flip=False, **STILL)
    path = catalog.items[0].image
    assert path is not None
    whole = prepare(decode(path, draft=(32, 32)).image, Preprocessing(size=32, mode="squash"))
    assert np.array_equal(ImageViews(catalog, SPEC, still).pixels(0, 9), whole)


def test_flips_come_half_the_time_and_can_be_switched_off(catalog: TrainingSet) -> None:
    options = {"least_area": 1.0, "most_stretch": 1.0, **STILL}
    flipping = ImageViews(catalog, SPEC, AugmentOptions(flip=True, **options))
    plain = ImageViews(catalog, SPEC, AugmentOptions(flip=False, **options)).pixels(0, 0)
    views = [flipping.pixels(0, number) for number in range(40)]
    mirrored = [np.abs(view.astype(int) - plain[:, ::-1]).mean() < 1 for view in views]
    upright = [np.abs(view.astype(int) - plain).mean() < 1 for view in views]
    assert [not each for each in mirrored] == upright
    assert 10 <= sum(mirrored) <= 30


@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation", "hue", "blur", "grey"])
def test_each_augmentation_changes_the_image(catalog: TrainingSet, option: str) -> None:
    most = 0.5 if option == "hue" else 1.0
    options: dict[str, Any] = {
        "least_area": 1.0, "most_stretch": 1.0, "flip": False, **STILL,
    }  # fmt: skip
    large = Preprocessing(size=224)
    plain = ImageViews(catalog, large, AugmentOptions(**options)).pixels(0, 0)
    changed = AugmentOptions(**{**options, option: most})
    views = [ImageViews(catalog, large, changed).pixels(0, number) for number in range(4)]
    assert all(np.abs(view.astype(int) - plain).mean() > 0.25 for view in views)


def test_random_views_are_mild(catalog: TrainingSet) -> None:
    views = ImageViews(catalog, SPEC)
    plain = views.pixels(0, PLAIN_VIEW).astype(int)
    other = views.pixels(1, PLAIN_VIEW).astype(int)
    found = [views.pixels(0, number).astype(int) for number in range(20)]
    means = [abs(view.mean() - plain.mean()) for view in found]
    assert max(means) < 60
    assert np.abs(plain - other).mean() > 30


def test_a_broken_image_is_black_and_reported_once(catalog: TrainingSet) -> None:
    views = ImageViews(catalog, SPEC)
    pixels, readable = views.batch(np.array([0, 5, 6, 1, 5]), np.array([0, 0, 0, 0, 1]))
    assert readable.tolist() == [True, False, False, True, False]
    assert not pixels[[1, 2, 4]].any()
    assert list(views.failures) == ["goods/5"]
    assert "5.jpg" in views.failures["goods/5"].reason
    with pytest.raises(UnreadableMedia, match=r"5\.jpg"):
        ImageViews(catalog, SPEC).pixels(5, 0)


def test_bounds_hold(catalog: TrainingSet) -> None:
    views = ImageViews(catalog, SPEC, bounds=MediaBounds(max_pixels=100))
    _, readable = views.batch(np.array([0]), np.array([PLAIN_VIEW]))
    assert not readable.any()
    assert "max_pixels" in views.failures["goods/0"].reason


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"brightness": 2.0}, "brightness: must be at most 1, got 2"),
        ({"hue": 0.6}, "hue: must be at most 0.5"),
        ({"least_area": 0.0}, "least_area: must be greater than 0"),
        ({"most_stretch": 0.5}, "most_stretch: must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        AugmentOptions(**options)
