"""A recipe's first stages, each from settings to trained weights, or to those of an earlier run."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmsearch.digests import digest_of_json
from mmsearch.pretraining import model
from mmsearch.pretraining.pictures.data import Picture
from mmsearch.pretraining.recipe import Recipe
from mmsearch.pretraining.stages import distill
from mmsearch.pretraining.stages.align import AlignOptions, ClassTask, Pairs, TeacherTask, align
from mmsearch.pretraining.stages.prototypes import fit_prototypes
from mmsearch.pretraining.stages.stage_files import StageRecord, recall_stage, remember_stage
from mmsearch.pretraining.text import vocabulary, word_vectors
from mmsearch.pretraining.text.corpus import ClassNames
from mmsearch.pretraining.text.table import TextTable, class_rows, picture_rows, teacher_vectors
from mmsearch.progress import ProgressListener
from mmsearch.training.metrics_log import MetricsLog

if TYPE_CHECKING:
    from open_clip import CLIP
    from tokenizers import Tokenizer

# Texts whose teacher vectors are kept in view while both towers meet.
REMEMBERED_TEXTS = 40_000


@dataclass(frozen=True, slots=True)
class Taught:
    """The sentence encoder's answers: vectors float16 (n, d), unit rows, one for each text."""

    texts: Sequence[str]
    vectors: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Seen:
    """pictures: those to train on. index int64 (n,): their rows in features float16 (m, views,
    width). classifier: maps features to ImageNet's classes, if the trunk was trained on them."""

    pictures: Sequence[Picture]
    index: NDArray[np.int64]
    features: NDArray[np.float16]
    classifier: torch.nn.Linear | None
    classes: ClassNames | None


@dataclass(frozen=True, slots=True)
class Paired:
    """What is said of the pictures: texts, by row; the pairs; what is kept in view beside them."""

    texts: Sequence[str]
    pairs: Pairs
    classes: ClassTask | None
    teacher: TeacherTask | None


def teach_text(
    recipe: Recipe,
    clip: "CLIP",
    tokenizer: "Tokenizer",
    corpus: Sequence[str],
    *,
    work: Path,
    log: MetricsLog,
    progress: ProgressListener,
) -> Taught:
    """Trains the text tower to give the sentence encoder's vectors: a bag of words, then the tower.

    A tower that the same settings and texts made before is taken again.
    """
    vectors = teacher_vectors(corpus, package=recipe.text.teacher, cache=work, progress=progress)
    settings = [_text_settings(recipe), recipe.seed, recipe.embed_dim, list(corpus)]
    file = work / f"text-{digest_of_json(settings)}.safetensors"
    if recall_stage(file, clip, log):
        return Taught(corpus, vectors)
    record = StageRecord(log)
    ids = vocabulary.token_ids(tokenizer, list(corpus)).astype(np.int32)
    progress.start("word vectors", recipe.bag.steps)
    words = word_vectors.fit_bag(
        ids,
        vectors,
        vocab=tokenizer.get_vocab_size(),
        steps=recipe.bag.steps,
        seed=recipe.seed,
        progress=record.stage("bag", progress.advance),
    )
    model.start_text(clip, words)
    progress.start("text tower", recipe.distill.steps)
    options = distill.DistillOptions(**asdict(recipe.distill), seed=recipe.seed)
    report = record.stage("distill", progress.advance)
    distill.distill_text(clip, ids, vectors, options, report)
    remember_stage(file, clip, distill.TEXT_PARTS, record)
    return Taught(corpus, vectors)


def pair_up(recipe: Recipe, seen: Seen, taught: Taught | None) -> Paired:
    table = TextTable()
    per_picture = recipe.align.texts_per_picture
    rows = picture_rows(table, seen.pictures, per_picture=per_picture, seed=recipe.seed)
    classes = None
    if seen.classifier is not None and seen.classes is not None:
        plain = torch.from_numpy(seen.features[:, 0].astype(np.float32))
        forms = class_rows(table, seen.classes)
        classes = ClassTask(forms, fit_prototypes(seen.classifier, plain))
    teacher = _remember(recipe, table, taught)
    weights = np.array([picture.weight for picture in seen.pictures])
    pairs = Pairs(seen.features, seen.index, rows, _concepts(seen.pictures), weights)
    return Paired(table.texts(), pairs, classes, teacher)


def align_towers(
    recipe: Recipe,
    clip: "CLIP",
    tokenizer: "Tokenizer",
    seen: Seen,
    paired: Paired,
    *,
    work: Path,
    log: MetricsLog,
    progress: ProgressListener,
) -> None:
    """Trains the image head, and as much of the text tower as the recipe says.

    What the same settings, texts and pictures made before is taken again.
    """
    texts = list(paired.texts)
    known = [picture.key for picture in seen.pictures]
    parts = [asdict(recipe.align), asdict(recipe.image)]
    # A learned vocabulary differs from run to run; weights are worth nothing with another one.
    settings = [_text_settings(recipe), recipe.embed_dim, tokenizer.to_str(), *parts]
    file = work / f"aligned-{digest_of_json([settings, recipe.seed, texts, known])}.safetensors"
    if recall_stage(file, clip, log):
        return
    encode, text_parameters = _text_encoder(recipe, clip, tokenizer, texts)
    head: Any = clip.visual.head
    if paired.classes is None or seen.classifier is None:
        model.standardise_head(head.mlp, torch.from_numpy(seen.features[:, 0].astype(np.float32)))
    else:
        with torch.no_grad():
            vectors = [encode(torch.from_numpy(form)) for form in paired.classes.texts[:3]]
            mean = torch.nn.functional.normalize(torch.stack(vectors).mean(0), dim=-1)
        model.start_head(head.mlp, seen.classifier, mean)
    progress.start("alignment", recipe.align.steps)
    record = StageRecord(log)
    scale = align(
        head.requires_grad_(True),
        encode,
        text_parameters,
        paired.pairs,
        _align_options(recipe),
        classes=paired.classes,
        teacher=paired.teacher,
        progress=record.stage("align", progress.advance),
    )
    # open_clip's own bound on the inverse temperature.
    torch.nn.init.constant_(clip.logit_scale, np.log(min(scale, 100.0)))
    clip.eval()
    remember_stage(file, clip, ("visual.head", *distill.TEXT_PARTS, "logit_scale"), record)


def _text_settings(recipe: Recipe) -> list[dict[str, Any]]:
    return [asdict(part) for part in (recipe.text, recipe.bag, recipe.distill)]


def _remember(recipe: Recipe, table: TextTable, taught: Taught | None) -> TeacherTask | None:
    if taught is None or recipe.align.teacher_weight == 0:
        return None
    rng = np.random.default_rng(recipe.seed)
    chosen = np.sort(rng.permutation(len(taught.texts))[:REMEMBERED_TEXTS])
    rows = np.array(table.rows(taught.texts[i] for i in chosen), dtype=np.int64)
    return TeacherTask(rows, taught.vectors[chosen])


def _text_encoder(
    recipe: Recipe, clip: "CLIP", tokenizer: "Tokenizer", texts: Sequence[str]
) -> tuple[Callable[[torch.Tensor], torch.Tensor], list[torch.nn.Parameter]]:
    """rows → unit vectors, and what is trained of the text tower on the way."""
    import torch.nn.functional as F

    ids = torch.from_numpy(vocabulary.token_ids(tokenizer, list(texts)))
    if recipe.align.text == "all":
        parameters = model.trainable(clip, distill.TEXT_PARTS)
        return lambda rows: model.encode_ids(clip, ids[rows]), parameters
    # The tower below the projection stands still, so its outputs are computed once.
    parameters = model.trainable(clip, ("text_projection",))
    pooled = model.pool_all(clip, ids)
    return lambda rows: F.normalize(pooled[rows] @ clip.text_projection, dim=-1), parameters


def _align_options(recipe: Recipe) -> AlignOptions:
    settings: dict[str, Any] = asdict(recipe.align)
    del settings["text"], settings["texts_per_picture"]
    return AlignOptions(**settings, seed=recipe.seed)


def _concepts(pictures: Sequence[Picture]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(p.concept, len(numbers)) for p in pictures])
