"""A recipe: everything that decides the weights of a model, read from TOML and never changed.

A recipe is a folder with recipe.toml, and beside it the Python files that read its data. All faults
of the file are reported at once. An empty name switches a teacher off: without `image.weights` the
trunk starts at random and there are no classes; without `text.teacher` the vocabulary is learned
from the captions and the text tower from pairs alone.
"""

import tomllib
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mmsearch.errors import ConfigError, InputError
from mmsearch.training.validated import Count, PositiveFloat, PositiveInt, Share, Weight

RECIPE_FILE = "recipe.toml"
# The source that needs no reader: a folder or table that `mmsearch index` can read.
CATALOG = "catalog"
# Old key → new key. The old ones are read for one more version.
RENAMED = {
    "bag": "word_vectors",
    "align.average": "align.ema_decay",
    "align.texts_per_picture": "align.texts_per_image",
    "backbone.average": "backbone.ema_decay",
}

# A share below 1.
Fraction = Annotated[float, Field(ge=0, lt=1)]
# FILE:FUNCTION in the recipe's folder.
FunctionName = Annotated[str, Field(pattern=r"^\w[\w-]*\.py:[A-Za-z_]\w*$")]


class Section(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ImageTower(Section):
    """The image tower.

    trunk: a model of timm. weights: the package with its pretrained weights, or ''. size: pixels.
    views: of each image, the plain one included.
    """

    trunk: str = "tf_efficientnet_lite0"
    weights: str = ""
    size: Annotated[int, Field(ge=32)] = 224
    views: PositiveInt = 1


class TextTower(Section):
    """The text tower. teacher: the package with a sentence encoder, or ''. context: tokens."""

    teacher: str = ""
    context: Annotated[int, Field(ge=4)] = 32
    width: PositiveInt = 384
    heads: PositiveInt = 6
    layers: PositiveInt = 3
    # Single letters need a place.
    vocabulary: Annotated[int, Field(ge=300)] = 12_000


class Corpus(Section):
    """The texts that the text tower is distilled on, besides captions and class names.

    function: makes them from `CorpusInputs` and `arguments`; None for no further texts.
    """

    function: FunctionName | None = None
    arguments: dict[str, int | float | str] = {}


class WordVectorStage(Section):
    """Stage 0: word vectors."""

    steps: PositiveInt = 400


class DistillStage(Section):
    """Stage 1: the text tower is distilled from the sentence encoder."""

    steps: PositiveInt = 400
    batch: Annotated[int, Field(ge=2)] = 256
    learning_rate: PositiveFloat = 5e-4
    relational_weight: Weight = 0.3
    temperature: PositiveFloat = 0.05


class ContrastiveStage(Section):
    """What both contrastive stages need. A weight of 0 switches its loss off.

    plain_share: of the images that a step shows in the plain view. class_weight: of the
    classifier's answers. teacher_weight: of the sentence encoder's vectors.
    """

    steps: PositiveInt = 500
    batch: Annotated[int, Field(ge=2)] = 384
    learning_rate: PositiveFloat = 1e-3
    text_learning_rate: PositiveFloat = 3e-4
    weight_decay: Weight = 0.05
    dropout: Fraction = 0.1
    ema_decay: Fraction = 0.99
    plain_share: Share = 0.6
    class_weight: Weight = 1.0
    teacher_weight: Weight = 1.0


class AlignStage(ContrastiveStage):
    """Stage 2: image head and text tower are aligned over frozen features.

    text: what is trained of the text tower. class_texts: class names that are encoded again in each
    step. texts_per_image: sampled once, for the whole stage.
    """

    text: Literal["projection", "all"] = "projection"
    class_texts: PositiveInt = 200
    texts_per_image: PositiveInt = 8


class BackboneStage(ContrastiveStage):
    """Stage 3: the trunk's last blocks are tuned together with head and text projection.

    blocks: how many of the last ones; 0 leaves the stage out. photos: added to each step without
    their captions. negatives: further texts for the images of a step. features_weight: of the
    drift of the photos' features.
    """

    blocks: Count = 0
    steps: PositiveInt = 400
    batch: Annotated[int, Field(ge=2)] = 192
    photos: Count = 48
    negatives: Count = 1024
    learning_rate: PositiveFloat = 5e-5
    head_learning_rate: PositiveFloat = 3e-4
    text_learning_rate: PositiveFloat = 1e-4
    plain_share: Share = 0.5
    features_weight: Weight = 5.0
    validate_every: PositiveInt = 50


class Recipe(Section):
    """A whole recipe.

    sources: names of the data that training needs. readers: the functions that read the images of
    sources; 'catalog' needs none, other sources without one are read by the functions of others.
    hold_out: share of the concepts that are held out. license, limits, origins: for the model card,
    where origins describe the sources. folder: of recipe.toml, None for a recipe made in Python.
    """

    name: str
    sources: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    readers: dict[str, FunctionName] = {}
    origins: dict[str, str] = {}
    seed: int = 0
    embed_dim: Annotated[int, Field(ge=8)] = 512
    hold_out: Fraction = 0.05
    license: str = "other"
    limits: Annotated[tuple[str, ...], Field(strict=False)] = ()
    image: ImageTower = ImageTower()
    text: TextTower = TextTower()
    corpus: Corpus = Corpus()
    word_vectors: WordVectorStage = WordVectorStage()
    distill: DistillStage = DistillStage()
    align: AlignStage = AlignStage()
    backbone: BackboneStage = BackboneStage()
    folder: Annotated[Path | None, Field(exclude=True)] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        text, faults = self.text, []
        if text.width % text.heads:
            faults.append(
                f"text.width must be a multiple of text.heads, got {text.width} and {text.heads}"
            )
        if text.teacher and text.width > self.embed_dim:
            faults.append(f"text.width {text.width} does not fit into embed_dim {self.embed_dim}")
        unread = [s for s in self.sources if s != CATALOG and s not in self.readers]
        # A function of the recipe may read the sources that have no reader of their own.
        if unread and not self.readers and not self.corpus.function:
            faults.append(f"sources: no reader for {', '.join(unread)}; name one under [readers]")
        if self.backbone.blocks and not self.image.weights:
            faults.append("backbone.blocks needs image.weights: a random trunk is not worth tuning")
        if self.backbone.blocks and self.align.text != "projection":
            faults.append("backbone.blocks needs align.text = 'projection'")
        if self.backbone.blocks and not self.hold_out:
            faults.append("backbone.blocks needs hold_out above 0, to choose the weights")
        if faults:
            raise ValueError("\n".join(faults))
        return self


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe: a folder with recipe.toml, or the file.

    Raises InputError if there is none, ConfigError with all of its faults.
    """
    file = _recipe_file(path)
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the recipe {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the recipe {file} is not TOML: {error}") from None
    _rename_keys(content)
    try:
        return Recipe.model_validate({**content, "folder": file.parent})
    except ValidationError as error:
        faults = [line for fault in error.errors() for line in _messages(fault)]
        raise ConfigError(
            f"the recipe {file} has faults:\n" + "\n".join(f"- {line}" for line in faults)
        ) from None


def _recipe_file(path: Path) -> Path:
    if path.is_dir():
        return path / RECIPE_FILE
    # recipes/builtin.toml has become recipes/builtin/recipe.toml.
    moved = path.with_suffix("") / RECIPE_FILE
    if path.suffix == ".toml" and not path.exists() and moved.exists():
        warnings.warn(f"{path} is now {moved.parent}", FutureWarning, stacklevel=3)
        return moved
    return path


def _rename_keys(content: dict[str, Any]) -> None:
    """Replaces keys of the version before, in place."""
    for old, new in RENAMED.items():
        *tables, key = old.split(".")
        table: Any = content
        for name in tables:
            table = table.get(name, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict) and key in table:
            table.setdefault(new.rpartition(".")[2], table.pop(key))
            warnings.warn(f"recipe: '{old}' is now '{new}'", FutureWarning, stacklevel=3)


def _messages(fault: Any) -> list[str]:
    """Returns what is wrong in the words of a recipe, a fault a line."""
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return [f"{place} is missing"]
    if fault["type"] == "extra_forbidden":
        return [f"{place} is not a setting of a recipe{_suggestion(fault['loc'])}"]
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"]).splitlines()
    if fault["type"] == "string_pattern_mismatch":
        return [f"{place} must be FILE.py:FUNCTION, got {fault['input']!r}"]
    message = fault["msg"].removeprefix("Input ")
    # TOML's words for Python's types.
    message = message.replace("tuple", "list").replace("dictionary", "table")
    return [f"{place}: {message}, got {fault['input']!r}"]


def _suggestion(location: tuple[str, ...]) -> str:
    """Returns the nearest setting of the same table, as a question."""
    table: Any = Recipe
    for name in location[:-1]:
        table = table.model_fields[name].annotation
    near = get_close_matches(location[-1], table.model_fields, 1)
    return f"; did you mean '{near[0]}'?" if near else ""
