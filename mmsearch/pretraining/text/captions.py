"""The texts of one image: its captions, the same in templates, and its keywords."""

import re
from collections.abc import Iterable

import numpy as np

from mmsearch.pretraining.images.captioned import CaptionedImage

DRAWING_TEMPLATES = (
    "a drawing of {}",
    "a picture of {}",
    "an illustration of {}",
    "clip art of {}",
    "a cartoon of {}",
    "{} drawing",
    "{}.",
    "an image of {}",
)
PHOTO_TEMPLATES = (
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a close-up photo of {}",
    "a photograph of {}",
    "{}.",
    "{} in a photo",
)
# Shares of keywords and of templates among the sampled texts; the rest are captions as they are.
KEYWORD_SHARE = 0.2
TEMPLATE_SHARE = 0.3
# Share of the title among captions; descriptions and other names follow it.
TITLE_SHARE = 0.6
# Characters; longer captions do not read well inside a template.
LONGEST_IN_TEMPLATE = 50
_NO_ARTICLE = re.compile(r"(?i)^(a|an|the|some|two|three|my|flag of) |s$|ing$")


def indefinite(noun: str) -> str:
    """Puts `a` or `an` before a noun: `owl` becomes `an owl`."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def with_article(phrase: str) -> str:
    """Turns `red apple` into `a red apple`; plurals and phrases with an article stay."""
    return phrase if _NO_ARTICLE.search(phrase) else indefinite(phrase)


def sample_text(image: CaptionedImage, rng: np.random.Generator) -> str:
    """Draws one text for an image: keywords, a caption in a template, or a caption."""
    draw = rng.random()
    title = rng.random() < TITLE_SHARE
    caption = image.captions[0 if title else int(rng.integers(len(image.captions)))]
    if draw < KEYWORD_SHARE and image.keywords:
        return _sample_keywords(image, rng)
    if draw < KEYWORD_SHARE + TEMPLATE_SHARE and len(caption) < LONGEST_IN_TEMPLATE:
        templates = PHOTO_TEMPLATES if image.photo else DRAWING_TEMPLATES
        template = templates[int(rng.integers(len(templates)))]
        return template.format(with_article(caption.lower()))
    return caption


def _sample_keywords(image: CaptionedImage, rng: np.random.Generator) -> str:
    count = int(rng.integers(1, min(4, len(image.keywords)) + 1))
    chosen = rng.choice(len(image.keywords), size=count, replace=False)
    words = [image.keywords[int(i)] for i in chosen]
    if rng.random() < 0.5:
        words.insert(0, image.captions[0].lower())
    return (", " if rng.random() < 0.5 else " ").join(words)


def unique_captions(images: Iterable[CaptionedImage]) -> list[str]:
    """Lists every caption and keyword once, in order of appearance."""
    return list(dict.fromkeys(t for image in images for t in (*image.captions, *image.keywords)))
