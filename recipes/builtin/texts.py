"""The texts beside captions and class names: WordNet, noun phrases, and photo captions.

WordNet gives single words and definitions. Phrases ("a small red kettle") and captions ("A man
riding a bicycle down a city street.") are composed at random from the lists in words/; they teach
the text tower how words combine.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmsearch.pretraining import (
    DRAWING_TEMPLATES,
    CorpusInputs,
    indefinite,
    require_files,
    with_article,
)

WORDS = Path(__file__).parent / "words"
WORDNET_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
# WordNet's lexicographer files of nouns that can be seen: animal, artifact, body, food, object,
# person, plant.
VISIBLE_FILES = frozenset({5, 6, 8, 13, 17, 18, 20})
# Phrases are drawn from a pool of one size, so that a recipe with more of them extends the texts of
# one with fewer, and cached sentence vectors stay valid.
POOL = 140_000
COMMON_SHARE = 5 / 7
DEFINITION_WORDS = range(2, 25)


def corpus_texts(inputs: CorpusInputs, *, lexical: int, phrases: int, captions: int) -> list[str]:
    """Draws texts from WordNet, which is the source 'wordnet', and composes phrases and captions.

    lexical, phrases, captions: how many of each kind.
    """
    rng = inputs.rng
    synsets = read_wordnet(inputs.data["wordnet"])
    nouns = visible_nouns(synsets)
    # Words that the sentence encoder knows whole are the common ones.
    common = [noun for noun in nouns if all(word in inputs.word_pieces for word in noun.split())]
    common = common or nouns
    from_common = round(POOL * COMMON_SHARE)
    composed = noun_phrases(common, from_common, rng)
    composed += noun_phrases(nouns, POOL - from_common, rng)
    from_wordnet = lexical_texts(synsets)
    rng.shuffle(composed)
    rng.shuffle(from_wordnet)
    texts = composed[:phrases] + from_wordnet[:lexical]
    for image in inputs.images:
        if not image.photo and image.weight >= 1:
            title = with_article(image.captions[0].lower())
            texts += [template.format(title) for template in DRAWING_TEMPLATES[:3]]
    return texts + photo_captions([*inputs.class_names, *common], captions, rng)


@dataclass(frozen=True, slots=True)
class Synset:
    """A sense of a word in WordNet; visible: a noun whose things can be seen."""

    words: tuple[str, ...]
    visible: bool
    definition: str
    examples: tuple[str, ...]


def read_wordnet(folder: Path) -> list[Synset]:
    """Reads the data files of WordNet 3.0. Raises InputError if one is missing."""
    require_files(folder, *WORDNET_FILES)
    return [
        _synset(line, noun=name == "data.noun")
        for name in WORDNET_FILES
        for line in (folder / name).read_text("utf-8", errors="replace").splitlines()
        # The licence at the top is indented.
        if not line.startswith("  ") and "|" in line
    ]


def _synset(line: str, *, noun: bool) -> Synset:
    left, gloss = line.split("|", 1)
    fields = left.split()
    count = int(fields[3], 16)
    # A word may carry its syntactic position: "galore(ip)".
    words = [re.sub(r"\(.*\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count)]
    examples = re.findall(r'"([^"]+)"', gloss)
    definition = re.sub(r'"[^"]*"', "", gloss)
    definition = re.sub(r"\([^)]*\)", "", definition).strip(" ;")
    visible = noun and int(fields[1]) in VISIBLE_FILES
    return Synset(tuple(words), visible, definition, tuple(examples))


def lexical_texts(synsets: Sequence[Synset]) -> list[str]:
    """Lists lemmas, definitions and examples, each once."""
    texts: dict[str, None] = {}
    for synset in synsets:
        texts.update(dict.fromkeys(synset.words))
        sentences = (synset.definition, *synset.examples)
        texts.update((s, None) for s in sentences if len(s.split()) in DEFINITION_WORDS)
    return list(texts)


def visible_nouns(synsets: Sequence[Synset]) -> list[str]:
    """Lists nouns of things that can be seen: in lower case, of at most two words."""
    words = (word for synset in synsets if synset.visible for word in synset.words[:2])
    return list(dict.fromkeys(w for w in words if w == w.lower() and len(w.split()) <= 2))


def noun_phrases(nouns: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Composes `count` phrases: "a small red kettle", "a man is reading a book in the park."."""
    words, pick = _word_lists("phrases"), _picker(rng)
    texts = []
    for _ in range(count):
        if rng.random() < 0.35:
            person = pick(words["people"])
            plural = person.startswith(("two", "child", "people"))
            subject = person if plural else indefinite(person)
            verb = " is " if rng.random() < 0.4 else " "
            thing = f" with {indefinite(pick(nouns))}" if rng.random() < 0.3 else ""
            end = "." if rng.random() < 0.5 else ""
            activity, place = pick(words["activities"]), pick(words["places"])
            texts.append(f"{subject}{verb}{activity} {place}{thing}{end}")
        else:
            noun, other = pick(nouns), pick(nouns)
            template = pick(words["templates"])
            texts.append(
                template.format(
                    n=noun,
                    a=indefinite(noun),
                    b=indefinite(other),
                    c=pick(words["colours"]),
                    q=pick(words["qualities"]),
                    p=pick(words["places"]),
                )
            )
    return texts


def photo_captions(nouns: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Composes `count` sentences like captions of photographs; `nouns` are further objects."""
    words, pick = _word_lists("captions"), _picker(rng)
    captions = []
    for _ in range(count):
        things = [indefinite(pick(words["objects"])) for _ in range(3)]
        template = pick(words["templates"])
        text = template.format(
            who=pick(words["people"]),
            other=pick(words["people"]),
            doing=pick(words["activities"]),
            wearing=pick(words["clothing"]),
            place=pick(words["places"]),
            animal=pick(words["animals"]),
            animal2=pick(words["animals"]),
            animals=pick(words["animal_groups"]).format(pick(words["animals"])),
            behaving=pick(words["animal_activities"]),
            vehicle=pick(words["vehicles"]),
            vehicle2=pick(words["vehicles"]),
            moving=pick(words["vehicle_activities"]),
            food=pick(words["foods"]),
            food2=pick(words["foods"]),
            food3=pick(words["foods"]),
            room=pick(words["rooms"]),
            thing=things[0],
            thing2=things[1],
            thing3=things[2],
            colour=pick(words["adjectives"]),
            noun=indefinite(pick(nouns)),
            noun2=indefinite(pick(nouns)),
        )
        captions.append(f"{text[:1].upper()}{text[1:]}." if rng.random() < 0.6 else text)
    return captions


def _picker(rng: np.random.Generator) -> Callable[[Sequence[str]], str]:
    """Returns a function that picks one of several texts at random."""
    return lambda choices: choices[int(rng.integers(len(choices)))]


def _word_lists(folder: str) -> dict[str, list[str]]:
    """Reads every list in a folder of words/, by name; an entry a line."""
    files = sorted((WORDS / folder).glob("*.txt"))
    return {file.stem: file.read_text("utf-8").splitlines() for file in files}
