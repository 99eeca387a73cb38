"""Trains a fusion on the tuned model's embeddings of train and val, and saves it with the model."""

import numpy as np

from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.finetuning.data.sampling import PLAIN_VIEW
from mmsearch.finetuning.data.training_set import UNLABELLED, SplitName
from mmsearch.finetuning.data.views import ImageViews
from mmsearch.finetuning.fusion.data import FusionData, fusion_data, fusion_texts
from mmsearch.finetuning.fusion.scores import FusionTable
from mmsearch.finetuning.fusion.training import FusionOptions, train_fusion
from mmsearch.finetuning.preparation import Preparation
from mmsearch.finetuning.workspace import Workspace
from mmsearch.fusion.files import save_fusion
from mmsearch.progress import ProgressListener
from mmsearch.records import FusionChoice, printable_path

# The random view that is the query for an item whose product has no other image.
_QUERY_VIEW = 0


def learn_fusion(
    choice: FusionChoice, prepared: Preparation, space: Workspace, progress: ProgressListener
) -> FusionTable:
    """Trains all kinds and saves the chosen one. Raises InputError if no query has an answer."""
    encoder = load_encoder(printable_path(space.out), device=prepared.device.name)
    train, val = (_data(encoder, prepared, name, progress) for name in ("train", "val"))
    options = FusionOptions(seed=prepared.options.run.seed)
    run = train_fusion(choice, train, val, options=options, progress=progress)
    progress.note(f"fusion: {run.kind}, " + ", ".join(
        f"{kind} {score:.3f}" for kind, score in run.val_scores.items()
    ))  # fmt: skip
    save_fusion(run.fusion, space.out, encoder.space, about={"scores": dict(run.val_scores)})
    return run.table


def _data(
    encoder: Encoder, prepared: Preparation, split: SplitName, progress: ProgressListener
) -> FusionData:
    training_set, items = prepared.training_set, prepared.split.of(split)
    seed = prepared.options.run.seed
    views = ImageViews(training_set, encoder.preprocessing, seed=seed, bounds=prepared.bounds)
    progress.start(f"embeddings of {split}", 2 * len(items), device=prepared.device.name)
    images, query_views = (
        views.encode(encoder, items, view, progress.advance) for view in (PLAIN_VIEW, _QUERY_VIEW)
    )
    texts, products = [], []
    for position in items.tolist():
        item = training_set.items[position]
        has_class = item.label != UNLABELLED
        # An item without texts has its class title; classes, where there are any, are products.
        title = (training_set.class_titles[item.label],) if has_class else ()
        texts.append(item.texts or title)
        products.append(len(training_set.items) + item.label if has_class else item.group)
    divided = fusion_texts(texts, seed=seed)
    text_vectors = encoder.encode_texts(divided.own)
    text_vectors[[not text for text in divided.own]] = 0
    return fusion_data(
        images,
        text_vectors,
        np.array(products, np.int64),
        text_queries=encoder.encode_texts(divided.queries),
        query_items=divided.items,
        views=query_views,
    )
