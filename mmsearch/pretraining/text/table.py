"""The table of all texts of a run: each text once, by row; and the sentence encoder's cache."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmsearch.digests import NAME_BYTES, digest_of_text
from mmsearch.files import replaced_file
from mmsearch.pretraining.pictures.data import (
    DRAWING_TEMPLATES,
    Picture,
    TextMix,
    TextSampler,
    unique_captions,
    with_article,
)
from mmsearch.pretraining.recipe import Corpus
from mmsearch.pretraining.teachers import sentence_pieces, sentence_vectors
from mmsearch.pretraining.text.captions import photo_captions
from mmsearch.pretraining.text.corpus import ClassNames, lexical_texts, read_wordnet, visible_nouns
from mmsearch.pretraining.text.scenes import article, compose
from mmsearch.progress import ProgressListener

# Ways of naming every class in one breath; "{n}" alone takes each synonym in turn.
CLASS_FORMS = (
    ("{n}", False),
    ("a photo of {a}.", False),
    ("a photo of a {n}", False),
    ("{n}", True),
    ("a picture of {a}", True),
    ("{n}", True),
    ("a drawing of {a}", True),
    ("a close-up photo of the {n}.", False),
)
# What the sentence encoder is asked about a class's every name.
TEACHER_FORMS = (
    "{n}",
    "a photo of {a}",
    "a photo of a {n}.",
    "a drawing of {a}",
    "{n} in a photo",
    "a close-up photo of {a}",
    "a picture of {a}",
)
# Composed texts are drawn from a pool of one size, so that a recipe that asks for more of them
# extends the texts of one that asks for fewer, and their cached vectors stay of use.
POOL = 140_000
# As many texts go to the teacher before the cache is written again.
CHUNK = 8192


class TextTable:
    """Gives every distinct text one row."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def rows(self, texts: Iterable[str]) -> list[int]:
        return [self._rows.setdefault(text, len(self._rows)) for text in texts]

    def texts(self) -> list[str]:
        return list(self._rows)


def picture_rows(
    table: TextTable, pictures: Sequence[Picture], *, per_picture: int, seed: int
) -> NDArray[np.int64]:
    """int64 (n, per_picture): the best caption first, then texts drawn at random."""
    rng = np.random.default_rng(seed)
    sample = TextSampler(TextMix())
    return np.array(
        [
            table.rows([p.captions[0], *(sample(p, rng) for _ in range(per_picture - 1))])
            for p in pictures
        ],
        dtype=np.int64,
    )


def class_rows(table: TextTable, classes: ClassNames) -> NDArray[np.int64]:
    """int64 (forms, classes)."""
    forms = []
    for turn, (form, any_name) in enumerate(CLASS_FORMS):
        names = [n[turn % len(n)] if any_name else n[0] for n in classes.names]
        forms.append(table.rows(form.format(n=name, a=article(name)) for name in names))
    forms.append(table.rows(", ".join(names[:3]) for names in classes.names))
    return np.array(forms, dtype=np.int64)


def corpus_texts(
    pictures: Sequence[Picture],
    classes: ClassNames | None,
    corpus: Corpus,
    *,
    wordnet: Path | None,
    teacher: str,
    seed: int,
) -> list[str]:
    """Everything that the sentence encoder is asked about, each text once."""
    rng = np.random.default_rng(seed)
    texts = unique_captions(pictures)
    common: list[str] = []
    if classes is not None:
        texts += _class_texts(classes)
    if wordnet is not None:
        synsets = read_wordnet(wordnet)
        nouns = visible_nouns(synsets)
        known = sentence_pieces(teacher)
        # Words that the sentence encoder knows whole are the common ones.
        common = [noun for noun in nouns if all(word in known for word in noun.split())]
        composed = compose(common, POOL * 5 // 7, rng) + compose(nouns, POOL * 2 // 7, rng)
        lexical = lexical_texts(synsets)
        rng.shuffle(composed)
        rng.shuffle(lexical)
        texts += composed[: corpus.composed] + lexical[: corpus.lexical]
    for picture in pictures:
        if not picture.photo and picture.weight >= 1:
            said = with_article(picture.captions[0].lower())
            texts += [template.format(said) for template in DRAWING_TEMPLATES[:3]]
    nouns = _first_names(classes) + common
    if nouns:
        texts += photo_captions(nouns, corpus.scenes, rng)
    return list(dict.fromkeys(texts))


def _first_names(classes: ClassNames | None) -> list[str]:
    return [] if classes is None else [names[0] for names in classes.names]


def _class_texts(classes: ClassNames) -> list[str]:
    texts = list(classes.definitions)
    for names in classes.names:
        for name in names:
            texts += [form.format(n=name, a=article(name)) for form in TEACHER_FORMS]
    return texts


def teacher_vectors(
    texts: Sequence[str], *, package: str, cache: Path, progress: ProgressListener
) -> NDArray[np.float16]:
    """float16 (n, d) unit rows; only texts that the cache lacks go through the encoder."""
    file = cache / f"sentences-{package}.npz"
    known: dict[bytes, NDArray[np.float16]] = {}
    if file.exists():
        with np.load(file) as stored:
            known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
    keys = [_key(text) for text in texts]
    missing = [i for i, key in enumerate(keys) if key not in known]
    progress.start("teacher's sentences", len(missing))
    for start in range(0, len(missing), CHUNK):
        part = missing[start : start + CHUNK]
        vectors = sentence_vectors(package, [texts[i] for i in part]).astype(np.float16)
        known.update((keys[i], vector) for i, vector in zip(part, vectors, strict=True))
        _store(file, known)
        progress.advance(len(part))
    return np.stack([known[key] for key in keys])


def _store(file: Path, known: dict[bytes, NDArray[np.float16]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    keys, vectors = np.array(list(known), dtype="S16"), np.stack(list(known.values()))
    with replaced_file(file) as stream:
        np.savez(stream, keys=keys, vectors=vectors)


def _key(text: str) -> bytes:
    # Hexadecimal, as numpy's byte strings lose trailing zero bytes.
    return digest_of_text(text, size=NAME_BYTES).encode()
