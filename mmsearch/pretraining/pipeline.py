"""From a recipe and its data to a model folder: the whole of training, in the order it happens.

images → features → texts → tokenizer → text tower → alignment → backbone → metrics on held-out
images → folder. Features, the teacher's vectors and the checkpoints of each stage are kept in the
work folder, so that a run that was interrupted resumes where it was.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.digests import digest_of_json
from mmsearch.errors import InputError
from mmsearch.malloc_tuning import reused_memory
from mmsearch.pretraining import model
from mmsearch.pretraining.held_out import HeldOut
from mmsearch.pretraining.images.activations import cached_outputs
from mmsearch.pretraining.images.captioned import CaptionedImage, hold_out
from mmsearch.pretraining.images.image_set import ImageSet
from mmsearch.pretraining.readers import load_corpus_function, read_images
from mmsearch.pretraining.recipe import Recipe
from mmsearch.pretraining.report import TrainReport, sweep_json, write_card
from mmsearch.pretraining.stages.alignment import TextEncoder, align_towers, pair_data
from mmsearch.pretraining.stages.backbone import tune_backbone
from mmsearch.pretraining.stages.distillation import distill_text
from mmsearch.pretraining.stages.stage_run import Run
from mmsearch.pretraining.teachers import imagenet_names, load_classifier, word_pieces
from mmsearch.pretraining.text import tokenizer as tokenizers
from mmsearch.pretraining.text.corpus import CorpusInputs, corpus_texts
from mmsearch.progress import ProgressListener
from mmsearch.training.metrics_log import MetricsLog
from mmsearch.training.model_folder import write_model_folder

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer


@reused_memory()
def train_recipe(
    recipe: Recipe,
    data: Mapping[str, Path],
    out: Path,
    *,
    work: Path,
    progress: ProgressListener,
) -> TrainReport:
    """Trains as the recipe says and writes the model folder `out`, with metrics.jsonl.

    data: the folder of each of the recipe's sources. work: keeps caches and checkpoints.
    """
    import torch

    started = time.monotonic()
    torch.manual_seed(recipe.seed)
    read = read_images(recipe, data)
    if len(read) < recipe.align.batch // 2:
        raise InputError(
            f"{len(read)} captioned images in the data are too few for batches of "
            f"{recipe.align.batch}; add data, or lower align.batch"
        )
    further_texts = load_corpus_function(recipe)
    trunk, classifier = _load_trunk(recipe)
    images = _image_set(recipe, read, trunk, classifier, work=work, progress=progress)
    training = images.select(images.train)
    corpus = corpus_texts(
        CorpusInputs(
            images=training,
            class_names=images.class_names.first() if images.class_names else [],
            data=data,
            word_pieces=word_pieces(recipe.text.teacher) if recipe.text.teacher else set(),
            rng=np.random.default_rng(recipe.seed),
        ),
        images.class_names,
        further_texts,
    )
    tokenizer, tokenizer_files = _make_tokenizer(recipe, corpus, work)
    config = model.model_config(recipe, vocabulary=tokenizer.get_vocab_size())
    torch.manual_seed(recipe.seed)
    clip = model.build_model(config["model_cfg"])
    clip.visual.trunk.load_state_dict(trunk.state_dict())

    out.mkdir(parents=True, exist_ok=True)
    with MetricsLog(out / "metrics.jsonl") as log:
        run = Run(recipe, clip, tokenizer, work=work, log=log, progress=progress)
        teacher = distill_text(run, corpus) if recipe.text.teacher else None
        pairs = pair_data(run, images, teacher)
        encode = TextEncoder(run, pairs.all_texts)
        losses = align_towers(run, images, pairs, encode)
        held_out = HeldOut(clip, tokenizer, images)
        measures = held_out.measure(_embed(clip.visual.head, images.features[images.held_out, 0]))
        interpolation = None
        if recipe.backbone.blocks:
            log.write("aligned", asdict(measures))
            interpolation, measures = tune_backbone(run, images, pairs, encode, held_out=held_out)
            log.write("interpolation", sweep_json(interpolation))
        log.write("measures", asdict(measures))

    report = TrainReport(
        folder=out,
        images=len(training),
        sources=dict(Counter(image.source for image in training)),
        taught_texts=len(corpus) if teacher else 0,
        paired_texts=len(pairs.all_texts),
        parameters=sum(parameter.numel() for parameter in clip.parameters()),
        seconds=round(time.monotonic() - started, 1),
        first_loss=losses[0],
        last_loss=float(np.mean(losses[-10:])),
        measures=measures,
        interpolation=interpolation,
    )
    write_model_folder(
        out,
        clip.state_dict(),
        config,
        tokenizer_files=tokenizer_files,
        card=write_card(recipe, report),
    )
    return report


def _load_trunk(recipe: Recipe) -> tuple["torch.nn.Module", "torch.nn.Linear | None"]:
    """Returns the trunk without its classifier, and the classifier if it is a pretrained one."""
    import timm

    if recipe.image.weights:
        trunk: Any = load_classifier(recipe.image.trunk, recipe.image.weights)
        classifier = trunk.get_classifier()
        trunk.reset_classifier(0)
        return trunk, classifier
    return timm.create_model(recipe.image.trunk, pretrained=False, num_classes=0).eval(), None


def _image_set(
    recipe: Recipe,
    images: Sequence[CaptionedImage],
    trunk: "torch.nn.Module",
    classifier: "torch.nn.Linear | None",
    *,
    work: Path,
    progress: ProgressListener,
) -> ImageSet:
    """Splits the images, and computes the trunk's features or reads them from the cache."""
    train, held_out = hold_out(images, fraction=recipe.hold_out, seed=recipe.seed)
    rows = {image.key: row for row, image in enumerate(images)}
    progress.start("image features", len(images))
    return ImageSet(
        images,
        train=np.array([rows[image.key] for image in train], np.int64),
        held_out=np.array([rows[image.key] for image in held_out], np.int64),
        features=cached_outputs(trunk, images, recipe=recipe, cache=work, progress=progress),
        classifier=classifier,
        class_names=None if classifier is None else imagenet_names(),
    )


def _make_tokenizer(
    recipe: Recipe, corpus: Sequence[str], work: Path
) -> tuple["Tokenizer", list[Path]]:
    """Returns the tokenizer and its files, which are kept in the work folder.

    Learning gives another vocabulary each time, for which no checkpoint would fit.
    """
    text = recipe.text
    folder = work / f"tokenizer-{digest_of_json([text.model_dump(), list(corpus)])}"
    if (folder / tokenizers.FILE).exists():
        tokenizer = tokenizers.read(folder / tokenizers.FILE)
    elif text.teacher:
        tokenizer = tokenizers.prune(
            text.teacher, corpus, size=text.vocabulary, context=text.context
        )
    else:
        tokenizer = tokenizers.learn(corpus, size=text.vocabulary, context=text.context)
    return tokenizer, tokenizers.save(tokenizer, folder, context=text.context)


def _embed(head: "torch.nn.Module", features: NDArray[np.float16]) -> "torch.Tensor":
    """Maps features, float16 (n, width), to float32 (n, dim), unit rows."""
    import torch

    with torch.no_grad():
        vectors = head(torch.from_numpy(features.astype(np.float32)))
        return torch.nn.functional.normalize(vectors, dim=-1)
