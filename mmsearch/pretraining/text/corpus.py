"""The texts that the text tower is distilled on: captions, class names, and the recipe's own."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.pretraining.teachers import ClassNames
from mmsearch.pretraining.text.captions import indefinite, unique_captions

# Applied to every name of every class: {n} is the name, {a} the name with its article.
CLASS_TEMPLATES = (
    "{n}",
    "a photo of {a}",
    "a photo of a {n}.",
    "a drawing of {a}",
    "{n} in a photo",
    "a close-up photo of {a}",
    "a picture of {a}",
)


@dataclass(frozen=True, slots=True)
class CorpusInputs:
    """What a recipe's corpus function is called with.

    images: those to train on. class_names: the most common name of each class of the trunk's
    classifier, empty without one. data: the folder of each source, by name. word_pieces: what the
    text teacher's tokenizer keeps whole, empty without a teacher. rng: the only randomness.
    """

    images: Sequence[CaptionedImage]
    class_names: Sequence[str]
    data: Mapping[str, Path]
    word_pieces: Collection[str]
    rng: np.random.Generator


CorpusFunction = Callable[[CorpusInputs], Sequence[str]]


def corpus_texts(
    inputs: CorpusInputs, classes: ClassNames | None, further: CorpusFunction | None
) -> list[str]:
    """Lists the texts of the distillation corpus, each once.

    further: the recipe's function for texts beside captions and class names.
    """
    texts = unique_captions(inputs.images)
    if classes is not None:
        texts += classes.definitions
        texts += [
            template.format(n=name, a=indefinite(name))
            for names in classes.names
            for name in names
            for template in CLASS_TEMPLATES
        ]
    if further is not None:
        texts += further(inputs)
    return list(dict.fromkeys(texts))
