"""Noun phrases and simple scenes put together from lists: "a small red kettle", "a dog running".

They teach the text tower how words work together, which single words and glosses do not.
"""

from collections.abc import Sequence

import numpy as np


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_COLOURS = _listed(
    "red|green|blue|yellow|orange|purple|pink|brown|black|white|grey|golden|silver|beige|colourful"
    "|dark|bright|striped|spotted"
)
_QUALITIES = _listed(
    "big|small|old|new|wooden|metal|plastic|glass|broken|shiny|round|long|wet|dry|clean|dirty|empty"
    "|full|open|closed|cute|happy|sad|angry|sleeping|young|tall|beautiful|fresh|sliced|ripe|toy"
    "|vintage|modern|leather|woollen|cotton|stone|paper|fluffy|smiling"
)
_PEOPLE = _listed(
    "man|woman|boy|girl|child|person|baby|lady|young man|young woman|old man|old woman|little girl|"
    "little boy|couple|group of people|crowd|family|two men|two women|children|people|player|"
    "man in a blue shirt|woman in a red dress|man in a hat|skier|surfer|cyclist|dog|black dog|"
    "brown dog|white dog|two dogs|cat|horse"
)
_ACTIONS = _listed(
    "riding a bike|riding a horse|riding a motorcycle|riding a skateboard|riding a wave|running|"
    "walking|jumping|sitting|standing|playing|sleeping|swimming|climbing|dancing|singing|cooking|"
    "eating|drinking|reading a book|talking on a phone|taking a photo|playing guitar|playing drums|"
    "playing football|playing tennis|playing baseball|playing basketball|throwing a ball|"
    "catching a frisbee|holding an umbrella|holding a baby|wearing a hat|wearing sunglasses|"
    "carrying a bag|waiting|looking at the camera|smiling|fishing|skiing|snowboarding|surfing|"
    "painting|working|driving a car|pushing a cart|lying down|shopping|flying a kite|kissing|"
    "hiking|jumping over a fence|running with a stick|playing with a toy|selling food"
)
_PLACES = _listed(
    "on the beach|in the street|in the park|in the snow|on the grass|in the water|in a kitchen|"
    "in a room|at a table|on a bench|on a couch|in a field|in the forest|on a mountain|by a lake|"
    "by the river|in front of a building|on a sidewalk|at night|in the rain|in a city|on a stage|"
    "in a swimming pool|on a boat|at a market|in a restaurant|in a garden|on a road|near a tree|"
    "in a crowd|on a rock|on a train|in an office|at the airport|in the air|at sunset"
)
_NOUN_TEMPLATES = (
    "a photo of {a}", "a drawing of {a}", "a picture of {a}", "{a}", "a close-up of {a}",
    "{a} on a white background", "a photo of the {n}", "an icon of {a}", "two {n}s", "the {n}",
    "a {c} {n}", "a {q} {n}", "a {q} {c} {n}", "{c} {n}", "{q} {n}", "{a} and {b}",
    "{a} next to {b}", "{a} on a table", "{a} {p}", "a {c} {n} {p}", "a photo of {a} {p}",
    "clip art of {a}", "a cartoon {n}", "a man with {a}", "a woman holding {a}", "a plate of {n}",
)  # fmt: skip


def article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def compose(nouns: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` noun phrases and simple scenes: "a small red kettle", "a man reading in a park"."""

    def pick(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    texts = []
    for _ in range(count):
        if rng.random() < 0.35:
            who = pick(_PEOPLE)
            subject = who if who.startswith(("two", "child", "people")) else article(who)
            is_ = " is " if rng.random() < 0.4 else " "
            thing = f" with {article(pick(nouns))}" if rng.random() < 0.3 else ""
            end = "." if rng.random() < 0.5 else ""
            texts.append(f"{subject}{is_}{pick(_ACTIONS)} {pick(_PLACES)}{thing}{end}")
        else:
            noun, other = pick(nouns), pick(nouns)
            texts.append(
                pick(_NOUN_TEMPLATES).format(
                    a=article(noun), b=article(other), n=noun,
                    c=pick(_COLOURS), q=pick(_QUALITIES), p=pick(_PLACES),
                )
            )  # fmt: skip
    return texts
