"""Hard negatives: mined as an epoch begins, used from the next one on, and kept in a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsearch.encoders.devices import DeviceChoice
from mmsearch.finetuning.data.sampling import Sampler
from mmsearch.finetuning.data.training_set import UNLABELLED, TrainingItem, TrainingSet
from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.preparation import sampling_options
from mmsearch.finetuning.resolved import resolve
from mmsearch.finetuning.towers.image_inputs import ImageCache
from mmsearch.finetuning.towers.start_model import StartModel, load_start
from mmsearch.finetuning.trainee.mining import MiningModel
from mmsearch.progress import NullProgress

COUNT, BATCH = 8, 4
# Of different lengths, which the random text tower tells apart.
WORDS = "a small red kettle stands on an old wooden table"
CPU = DeviceChoice("cpu", "requested")


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> StartModel:
    return load_start(str(tiny_model), CPU)


@pytest.fixture(scope="module")
def training_set(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """Noisy images, each with a text of its own but the last, which has none."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    items = []
    for place in range(COUNT):
        path = folder / f"{place}.png"
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        texts = (WORDS[: 4 * place + 3],) if place < COUNT - 1 else ()
        items.append(TrainingItem(f"{place}", path, texts, place, UNLABELLED))
    return TrainingSet(items)


def make(start: StartModel, training_set: TrainingSet, cache: Path) -> MiningModel:
    requested = FinetuneOptions.of(
        model=start.name, method="head", hard_negatives=1, batch_size=BATCH, steps=6, views=1,
        keep_weight=0,
    )  # fmt: skip
    options = resolve(requested, train_items=COUNT, device=CPU)
    views = ImageViews(training_set, start.preprocessing)
    places = np.arange(COUNT)
    return MiningModel(
        start,
        Sampler(training_set, places, sampling_options(options, training_set)),
        options,
        cache=ImageCache(views, places[:0], "views", cache),
        progress=NullProgress(),
    )


def test_they_are_in_the_batches_of_the_next_epoch_and_of_a_resumed_run(
    start: StartModel, training_set: TrainingSet, tmp_path: Path
) -> None:
    model, resumed = (make(start, training_set, tmp_path) for _ in range(2))
    next_epoch = range(COUNT // BATCH, 2 * COUNT // BATCH)
    before = [model.sampler.draw(step).items.tolist() for step in next_epoch]
    model.backward(0, 0)
    after = [model.sampler.draw(step).items.tolist() for step in next_epoch]
    assert {place for batch in after for place in batch} == set(range(COUNT))
    assert after != before
    mined = model.memory()["1"]
    assert mined.shape == (COUNT, 1)
    assert all(neighbour != place for place, neighbour in enumerate(mined[:, 0].tolist()))
    # Its neighbours are those of its image alone, and no image finds a text that it lacks.
    assert mined[COUNT - 1, 0] >= 0
    one, other = after[0][:2]
    assert other == mined[one, 0]
    model.backward(1, 0)
    assert set(model.memory()) == {"1"}
    resumed.recall_memory(model.memory())
    assert [resumed.sampler.draw(step).items.tolist() for step in next_epoch] == after
