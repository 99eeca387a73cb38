"""Product texts as shops write them: a title and a few sentences, some of them copies of others."""

import random

_MAKERS = (
    "Alder & Finch", "Northway", "Kestrel", "Bramley", "Oda", "Corvin", "Lumen", "Petra", "Halden",
    "Sundby", "Tern", "Moss & Co", "Ravello", "Quill", "Ember", "Fjord", "Linden", "Castor",
)  # fmt: skip
_KINDS = (
    "rain jacket", "running shoe", "linen shirt", "wool jumper", "desk lamp", "cast-iron pan",
    "water bottle", "yoga mat", "travel mug", "backpack", "bath towel", "garden chair", "table",
    "kitchen knife", "bluetooth speaker", "bike helmet", "tent", "sleeping bag", "wall clock",
    "picture frame", "oat drink", "ground coffee", "olive oil", "dark chocolate", "hand soap",
)  # fmt: skip
_TRAITS = (
    "lightweight", "waterproof", "recycled", "slim-fit", "hand-made", "foldable", "insulated",
    "organic", "stainless", "breathable", "quick-drying", "non-slip", "shatterproof", "washable",
)  # fmt: skip
_COLOURS = (
    "navy", "olive green", "sand", "charcoal", "ivory", "rust red", "sky blue", "mustard", "black",
)  # fmt: skip
_STUFF = (
    "cotton", "merino wool", "beech wood", "powder-coated steel", "recycled polyester", "cork",
    "borosilicate glass", "full-grain leather", "bamboo", "silicone", "ceramic", "aluminium",
)  # fmt: skip
_SENTENCES = (
    "Made of {stuff} that keeps its shape for years.",
    "The {trait} design suits everyday use as well as long trips.",
    "Comes in {colour} and {number} further colours.",
    "Weighs only {number} g and fits into any bag.",
    "Holds up to {number} ml and stays tight when it is shaken.",
    "Machine washable at {small} degrees, do not tumble dry.",
    "With a warranty of {small} years on {stuff} and seams.",
    "Measures {number} x {small} cm when it is unfolded.",
    "Our customers like the {trait} surface and the calm {colour} tone.",
    "Designed in Gothenburg, made of {stuff} from responsible sources.",
    "Delivered within {small} working days, free returns for {number} days.",
    "Pairs well with the {trait} {kind} of the same series.",
)


def product_texts(count: int, seed: str) -> list[str]:
    """One of five is another one reworded a little, one of thirty says just the same."""
    chance = random.Random(seed)  # noqa: S311
    texts: list[str] = []
    while len(texts) < count:
        fate = chance.random()
        if texts and fate < 1 / 30:
            texts.append(chance.choice(texts).upper().replace(",", " -"))
        elif texts and fate < 1 / 30 + 1 / 5:
            texts.append(_reworded(chance.choice(texts), chance))
        else:
            texts.append(_new(chance))
    return texts


def _new(chance: random.Random) -> str:
    title = _filled("{maker} {trait} {kind}, {colour}, {number}", chance)
    said = chance.sample(_SENTENCES, chance.randint(2, 5))
    return " ".join([f"{title}.", *(_filled(sentence, chance) for sentence in said)])


def _filled(pattern: str, chance: random.Random) -> str:
    return pattern.format(
        maker=chance.choice(_MAKERS),
        kind=chance.choice(_KINDS),
        trait=chance.choice(_TRAITS),
        colour=chance.choice(_COLOURS),
        stuff=chance.choice(_STUFF),
        number=chance.randint(11, 990),
        small=chance.randint(2, 60),
    )


def _reworded(text: str, chance: random.Random) -> str:
    """One or two words exchanged, or a sentence put at the end."""
    if chance.random() < 0.3:
        return f"{text} {_filled(chance.choice(_SENTENCES), chance)}"
    words = text.split()
    for _ in range(chance.randint(1, 2)):
        words[chance.randrange(len(words))] = chance.choice((*_COLOURS, *_TRAITS, *_MAKERS))
    return " ".join(words)
