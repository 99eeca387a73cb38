"""A recipe: everything that decides the weights, read from TOML, checked, then never changed.

All faults are reported at once, each with its place. Empty names switch a teacher off: without
`image.weights` the trunk starts at random and no class is remembered; without `text.teacher` the
vocabulary is learned from the captions and the text tower only from pairs.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from mmsearch.errors import ConfigError, InputError

Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class ImageTower:
    """trunk: a timm name; weights: the package that holds its pretrained tensors, or ''."""

    trunk: str = "tf_efficientnet_lite0"
    weights: str = ""
    size: int = 224
    views: int = 1


@dataclass(frozen=True, slots=True)
class TextTower:
    """teacher: the package that holds a sentence encoder, or ''."""

    teacher: str = ""
    context: int = 32
    width: int = 384
    heads: int = 6
    layers: int = 3
    vocabulary: int = 12_000


@dataclass(frozen=True, slots=True)
class Corpus:
    """How many texts of each kind the text tower is taught, besides captions and class names.

    lexical: from WordNet; composed: noun phrases; scenes: sentences as under photographs.
    """

    lexical: int = 0
    composed: int = 0
    scenes: int = 0


@dataclass(frozen=True, slots=True)
class Bag:
    """Stage zero: token vectors."""

    steps: int = 400


@dataclass(frozen=True, slots=True)
class Distill:
    """Stage one: the text tower learns from the sentence encoder."""

    steps: int = 400
    batch: int = 256
    learning_rate: float = 5e-4
    relational_weight: float = 0.3
    temperature: float = 0.05


@dataclass(frozen=True, slots=True)
class Align:
    """Stage two: contrastive steps. A weight of 0 switches a loss off."""

    text: Literal["projection", "all"] = "projection"
    steps: int = 500
    batch: int = 384
    learning_rate: float = 1e-3
    text_learning_rate: float = 3e-4
    weight_decay: float = 0.05
    dropout: float = 0.1
    average: float = 0.99
    plain_share: float = 0.6
    class_weight: float = 1.0
    teacher_weight: float = 1.0
    class_texts: int = 200
    texts_per_picture: int = 8


@dataclass(frozen=True, slots=True)
class Backbone:
    """Stage three: the trunk's last blocks, the head and the text projection together.

    blocks: how many of the last ones; 0 leaves the stage out. photos: further photos in each step,
    from which only what the start knew is learned. negatives: further texts that each picture is
    told from. features_weight: holds the photos' features where they were.
    """

    blocks: int = 0
    steps: int = 400
    batch: int = 192
    photos: int = 48
    negatives: int = 1024
    learning_rate: float = 5e-5
    head_learning_rate: float = 3e-4
    text_learning_rate: float = 1e-4
    weight_decay: float = 0.05
    dropout: float = 0.1
    average: float = 0.99
    plain_share: float = 0.5
    class_weight: float = 1.0
    teacher_weight: float = 1.0
    features_weight: float = 5.0
    validate_every: int = 50


@dataclass(frozen=True, slots=True)
class Recipe:
    """hold_out: share of the concepts kept for measuring; limits: lines for the model's card."""

    name: str
    sources: tuple[str, ...]
    seed: int = 0
    embed_dim: int = 512
    hold_out: float = 0.05
    limits: tuple[str, ...] = ()
    image: ImageTower = ImageTower()
    text: TextTower = TextTower()
    corpus: Corpus = Corpus()
    bag: Bag = Bag()
    distill: Distill = Distill()
    align: Align = Align()
    backbone: Backbone = Backbone()


def read_recipe(path: Path) -> Recipe:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the recipe {path} is not TOML: {error}") from None
    faults: list[str] = []
    recipe = _section(Recipe, content, "", faults)
    if recipe is not None:
        faults += _range_faults(recipe)
    if recipe is None or faults:
        raise ConfigError(f"the recipe {path} has faults:\n" + "\n".join(f"- {f}" for f in faults))
    return recipe


def _section(
    kind: type[Section], content: Mapping[str, Any], where: str, faults: list[str]
) -> Section | None:
    """`kind` made of `content`; faults are added to the list, and None returned if any is here."""
    types = get_type_hints(kind)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    before = len(faults)
    faults += [f"{where}{key} is not a setting of a recipe" for key in content if key not in known]
    values: dict[str, Any] = {}
    for key in known & content.keys():
        wanted, got = types[key], content[key]
        if isinstance(wanted, type) and hasattr(wanted, "__dataclass_fields__"):
            if isinstance(got, dict):
                values[key] = _section(wanted, got, f"{where}{key}.", faults)
            else:
                faults.append(f"{where}{key} must be a table, got {got!r}")
        else:
            fault = _type_fault(wanted, got)
            values[key] = tuple(got) if isinstance(got, list) else got
            if fault:
                faults.append(f"{where}{key} must be {fault}, got {got!r}")
    if not where:
        faults += [f"{key} is missing" for key in ("name", "sources") if key not in content]
    return kind(**values) if len(faults) == before else None


def _type_fault(wanted: Any, got: Any) -> str | None:
    """What a value should have been, or None if it is that."""
    if get_origin(wanted) is Literal:
        choices = get_args(wanted)
        return None if got in choices else f"one of {', '.join(map(repr, choices))}"
    if get_origin(wanted) is tuple:
        good = isinstance(got, list) and all(isinstance(item, str) for item in got)
        return None if good else "a list of names"
    if wanted is float:
        number = isinstance(got, int | float) and not isinstance(got, bool)
        return None if number else "a number"
    if wanted is int:
        return None if isinstance(got, int) and not isinstance(got, bool) else "a whole number"
    return None if isinstance(got, str) else "a text"


def _range_faults(recipe: Recipe) -> list[str]:
    image, text, align = recipe.image, recipe.text, recipe.align
    rules = [
        (bool(recipe.sources), "sources names no data"),
        (0 <= recipe.hold_out < 1, f"hold_out must be in [0, 1), got {recipe.hold_out}"),
        (recipe.embed_dim >= 8, f"embed_dim must be at least 8, got {recipe.embed_dim}"),
        (image.size >= 32, f"image.size must be at least 32 pixels, got {image.size}"),
        (image.views >= 1, f"image.views must be at least 1, got {image.views}"),
        (text.layers >= 1, f"text.layers must be at least 1, got {text.layers}"),
        (
            text.heads >= 1 and text.width % max(1, text.heads) == 0,
            f"text.width must be a multiple of text.heads, got {text.width} and {text.heads}",
        ),
        (text.context >= 4, f"text.context must be at least 4 tokens, got {text.context}"),
        (
            text.vocabulary >= 300,
            f"text.vocabulary must be at least 300, got {text.vocabulary}: letters need a place",
        ),
        (align.batch >= 2, f"align.batch must be at least 2, got {align.batch}"),
        (align.steps >= 1, f"align.steps must be at least 1, got {align.steps}"),
        (
            align.learning_rate > 0,
            f"align.learning_rate must be above 0, got {align.learning_rate}",
        ),
        (0 <= align.dropout < 1, f"align.dropout must be in [0, 1), got {align.dropout}"),
        (
            0 <= align.plain_share <= 1,
            f"align.plain_share must be in [0, 1], got {align.plain_share}",
        ),
        (0 <= align.average < 1, f"align.average must be in [0, 1), got {align.average}"),
        (
            align.texts_per_picture >= 1,
            f"align.texts_per_picture must be at least 1, got {align.texts_per_picture}",
        ),
        (
            not text.teacher or text.width <= recipe.embed_dim,
            f"text.width {text.width} does not fit into embed_dim {recipe.embed_dim}",
        ),
    ]
    faults = [fault for fine, fault in rules if not fine]
    return faults + _backbone_faults(recipe)


def _backbone_faults(recipe: Recipe) -> list[str]:
    part = recipe.backbone
    if not part.blocks:
        return []
    least = {"blocks": 1, "steps": 1, "batch": 2, "photos": 0, "negatives": 0, "validate_every": 1}
    faults = [
        f"backbone.{name} must be at least {bound}, got {getattr(part, name)}"
        for name, bound in least.items()
        if getattr(part, name) < bound
    ]
    rates = ("learning_rate", "head_learning_rate", "text_learning_rate")
    faults += [
        f"backbone.{name} must be above 0, got {getattr(part, name)}"
        for name in rates
        if getattr(part, name) <= 0
    ]
    weights = ("class_weight", "teacher_weight", "features_weight", "weight_decay")
    faults += [
        f"backbone.{name} must not be negative, got {getattr(part, name)}"
        for name in weights
        if getattr(part, name) < 0
    ]
    faults += [
        f"backbone.{name} must be in [0, 1), got {getattr(part, name)}"
        for name in ("dropout", "average")
        if not 0 <= getattr(part, name) < 1
    ]
    if not 0 <= part.plain_share <= 1:
        faults.append(f"backbone.plain_share must be in [0, 1], got {part.plain_share}")
    if not recipe.image.weights:
        faults.append("backbone.blocks needs image.weights: a random trunk has nothing to keep")
    if recipe.align.text != "projection":
        faults.append("backbone.blocks needs align.text = 'projection', which it goes on training")
    if not recipe.hold_out:
        faults.append("backbone.blocks needs hold_out above 0: held-out pictures choose the mix")
    return faults
