"""The fusion stage: the tuned model's vectors of train and val, a fusion learned on them, saved
beside the model."""

import numpy as np

from mmsearch.arrays import blocks
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.data.augment import Views
from mmsearch.finetuning.data.sampling import PLAIN_VIEW
from mmsearch.finetuning.data.training_set import SplitName, TrainCatalog
from mmsearch.finetuning.fusion.data import FusionData, fusion_data, fusion_texts
from mmsearch.finetuning.fusion.scores import FusionTable
from mmsearch.finetuning.fusion.training import FusionOptions, train_fusion
from mmsearch.finetuning.preparation import Preparation
from mmsearch.finetuning.workspace import Workspace
from mmsearch.fusion.files import save_fusion
from mmsearch.progress import ProgressListener
from mmsearch.records import Floats, FusionChoice, Ids, printable_path

_BATCH = 32
# The random view that asks for an item whose product has no other picture.
_ASKING_VIEW = 0


def learn_fusion(
    wish: FusionChoice, prepared: Preparation, space: Workspace, progress: ProgressListener
) -> FusionTable:
    """Trains every kind, saves the one asked for. Raises InputError if no query has an answer."""
    encoder = load_encoder(printable_path(space.out), device=prepared.device.name)
    train, val = (_data(encoder, prepared, name, progress) for name in ("train", "val"))
    options = FusionOptions(seed=prepared.options.seed)
    run = train_fusion(wish, train, val, options=options, progress=progress)
    progress.note(f"fusion: {run.kind}, " + ", ".join(
        f"{kind} {score:.3f}" for kind, score in run.val_scores.items()
    ))  # fmt: skip
    save_fusion(run.fusion, space.out, encoder.space, about={"scores": dict(run.val_scores)})
    return run.table


def _data(
    encoder: Encoder, prepared: Preparation, split: SplitName, progress: ProgressListener
) -> FusionData:
    catalog, items = prepared.catalog, prepared.split.of(split)
    looks = Views(
        catalog, encoder.preprocessing, seed=prepared.options.seed, bounds=prepared.bounds
    )
    progress.start(f"vectors of {split}", 2 * len(items), device=prepared.device.name)
    images, views = (
        _pictures(encoder, looks, items, view, progress) for view in (PLAIN_VIEW, _ASKING_VIEW)
    )
    words = fusion_texts([_texts(catalog, at) for at in items.tolist()], seed=prepared.options.seed)
    texts = encoder.encode_texts(words.own)
    texts[[not text for text in words.own]] = 0
    return fusion_data(
        images,
        texts,
        np.array([_product(catalog, at) for at in items.tolist()], np.int64),
        text_queries=encoder.encode_texts(words.queries),
        query_items=words.items,
        views=views,
    )


def _texts(catalog: TrainCatalog, place: int) -> tuple[str, ...]:
    """Its own, or, where it has none, its class's title."""
    item = catalog.items[place]
    if item.texts or item.label < 0:
        return item.texts
    return (catalog.class_titles[item.label],)


def _product(catalog: TrainCatalog, place: int) -> int:
    """The group, or the class where that is what the catalog is divided by."""
    item = catalog.items[place]
    return item.group if item.label < 0 else len(catalog.items) + item.label


def _pictures(
    encoder: Encoder, looks: Views, items: Ids, view: int, progress: ProgressListener
) -> Floats:
    """float32 (n, dim), zeros where there is no picture."""
    vectors = np.zeros((len(items), encoder.space.dim), np.float32)
    for block in blocks(len(items), _BATCH):
        batch = items[block]
        pixels, readable = looks.batch(batch, np.full(len(batch), view))
        vectors[block] = encoder.encode_pixels(pixels)
        vectors[block][~readable] = 0
        progress.advance(len(batch))
    return vectors
