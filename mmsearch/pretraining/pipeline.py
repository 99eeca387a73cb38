"""From a recipe and its data to a model folder: the whole of training in the order it happens.

pictures → features → texts → vocabulary → text tower → alignment → backbone → measured on held-out
pictures → folder. What is slow (features, teacher's vectors, each stage's weights) is kept in the
work folder, so that a run that was killed goes on where it was.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.errors import InputError
from mmsearch.malloc_tuning import reused_memory
from mmsearch.pretraining import model
from mmsearch.pretraining.card import Measures, Mix, write_card
from mmsearch.pretraining.export import write_folder
from mmsearch.pretraining.held_out import HeldOut
from mmsearch.pretraining.pictures.data import Picture, hold_out
from mmsearch.pretraining.pictures.data_sets import read_all
from mmsearch.pretraining.pictures.features import cached_features
from mmsearch.pretraining.recipe import Recipe
from mmsearch.pretraining.stages.backbone_stage import Everything, tune_backbone
from mmsearch.pretraining.stages.text_and_align import Seen, align_towers, pair_up, teach_text
from mmsearch.pretraining.teachers import load_classifier
from mmsearch.pretraining.text import vocabulary
from mmsearch.pretraining.text.corpus import imagenet_names
from mmsearch.pretraining.text.table import corpus_texts
from mmsearch.progress import ProgressListener
from mmsearch.training.metrics_log import MetricsLog

if TYPE_CHECKING:
    import torch
    from open_clip import CLIP
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What came out: the folder, what it was trained on, and how it measures."""

    folder: Path
    pictures: int
    sources: dict[str, int]
    taught_texts: int
    paired_texts: int
    parameters: int
    seconds: float
    first_loss: float
    last_loss: float
    measures: Measures
    mix: Mix | None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder)}


@reused_memory()
def train_recipe(
    recipe: Recipe,
    data: Mapping[str, Path],
    out: Path,
    *,
    work: Path,
    progress: ProgressListener,
) -> TrainReport:
    """Trains as the recipe says and writes the model folder `out`, metrics.jsonl in it."""
    import torch

    started = time.monotonic()
    torch.manual_seed(recipe.seed)
    pictures = _read_pictures(recipe, data)
    kept, held = hold_out(pictures, fraction=recipe.hold_out, seed=recipe.seed)
    trunk, classifier = _trunk(recipe)
    progress.start("image features", len(pictures))
    features = cached_features(
        pictures,
        trunk=trunk,
        size=recipe.image.size,
        views=recipe.image.views,
        seed=recipe.seed,
        cache=work,
        advance=progress.advance,
    )
    classes = imagenet_names() if classifier is not None else None
    corpus = corpus_texts(
        kept,
        classes,
        recipe.corpus,
        wordnet=data.get("wordnet"),
        teacher=recipe.text.teacher,
        seed=recipe.seed,
    )
    tokenizer = _tokenizer(recipe, corpus)
    config = _config(recipe, tokenizer)
    torch.manual_seed(recipe.seed)
    clip = model.build(config)
    clip.visual.trunk.load_state_dict(trunk.state_dict())

    position = {picture.key: row for row, picture in enumerate(pictures)}
    rows, held_rows = (np.array([position[p.key] for p in some], int) for some in (kept, held))
    seen = Seen(kept, rows, features, classifier, classes)
    out.mkdir(parents=True, exist_ok=True)
    stage: dict[str, Any] = {"work": work, "progress": progress}
    with MetricsLog(out / "metrics.jsonl") as log:
        taught, mix = None, None
        if recipe.text.teacher:
            taught = teach_text(recipe, clip, tokenizer, corpus, log=log, **stage)
        paired = pair_up(recipe, seen, taught)
        align_towers(recipe, clip, tokenizer, seen, paired, log=log, **stage)
        plain = features[held_rows, 0]
        held_out = HeldOut(clip, tokenizer, held, plain, classifier, classes)
        measures = held_out.measures(_embed(clip, plain))
        if recipe.backbone.blocks:
            log.write("aligned", asdict(measures))
            everything = Everything(pictures, held_rows)
            mix, vectors = tune_backbone(
                recipe, clip, tokenizer, seen, paired, everything, held_out, log=log, **stage
            )
            measures = held_out.measures(vectors)
        log.write("measures", asdict(measures))

    losses = log.losses["align"]
    report = TrainReport(
        folder=out,
        pictures=len(kept),
        sources=dict(Counter(picture.source for picture in kept)),
        taught_texts=len(corpus) if taught else 0,
        paired_texts=len(paired.texts),
        parameters=sum(parameter.numel() for parameter in clip.parameters()),
        seconds=round(time.monotonic() - started, 1),
        first_loss=losses[0],
        last_loss=float(np.mean(losses[-10:])),
        measures=measures,
        mix=mix,
    )
    card = write_card(recipe, report.sources, report.taught_texts, report.parameters, measures, mix)
    write_folder(out, clip=clip, config=config, tokenizer=tokenizer, card=card)
    return report


def _embed(clip: "CLIP", features: NDArray[np.float16]) -> "torch.Tensor":
    """features: float16 (n, width) → float32 (n, dim), unit rows."""
    import torch

    with torch.no_grad():
        vectors = clip.visual.head(torch.from_numpy(features.astype(np.float32)))
        return torch.nn.functional.normalize(vectors, dim=-1)


def _read_pictures(recipe: Recipe, data: Mapping[str, Path]) -> Sequence[Picture]:
    missing = [name for name in recipe.sources if name not in data]
    unknown = [name for name in data if name not in recipe.sources]
    if missing or unknown:
        raise InputError(
            f"recipe '{recipe.name}' trains on {', '.join(recipe.sources)}; "
            f"missing: {', '.join(missing) or 'none'}; not in it: {', '.join(unknown) or 'none'}; "
            "name each with --data NAME=PATH"
        )
    pictures = read_all(data)
    if len(pictures) < recipe.align.batch // 2:
        raise InputError(
            f"{len(pictures)} captioned pictures in the data, too few for batches of "
            f"{recipe.align.batch}; give more, or set align.batch lower"
        )
    return pictures


def _trunk(recipe: Recipe) -> tuple["torch.nn.Module", "torch.nn.Linear | None"]:
    """The trunk without its classifier, and the classifier if its weights mean something."""
    import timm

    if recipe.image.weights:
        trunk: Any = load_classifier(recipe.image.trunk, recipe.image.weights)
        classifier = trunk.get_classifier()
        trunk.reset_classifier(0)
        return trunk, classifier
    return timm.create_model(recipe.image.trunk, pretrained=False, num_classes=0).eval(), None


def _tokenizer(recipe: Recipe, corpus: Sequence[str]) -> "Tokenizer":
    text = recipe.text
    if text.teacher:
        return vocabulary.prune(text.teacher, corpus, size=text.vocabulary, context=text.context)
    return vocabulary.learn(corpus, size=text.vocabulary, context=text.context)


def _config(recipe: Recipe, tokenizer: "Tokenizer") -> dict[str, Any]:
    text = recipe.text
    return model.model_config(
        embed_dim=recipe.embed_dim,
        trunk=recipe.image.trunk,
        size=recipe.image.size,
        text={
            "context_length": text.context,
            "width": text.width,
            "heads": text.heads,
            "layers": text.layers,
        },
        vocab=tokenizer.get_vocab_size(),
    )
