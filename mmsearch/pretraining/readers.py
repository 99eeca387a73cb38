"""Reads the images of a recipe, by the functions that it names in its own folder.

The functions are code written by the author of the recipe. They are loaded only from the recipe
folder that the user names, never from a model folder.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from typing import Any

from mmsearch.errors import ConfigError, InputError
from mmsearch.pretraining.images.captioned import CaptionedImage, concept_of
from mmsearch.pretraining.recipe import CATALOG, Recipe
from mmsearch.pretraining.text.corpus import CorpusFunction
from mmsearch.records import Record
from mmsearch.sources import SourceOptions, open_source


def read_images(recipe: Recipe, data: Mapping[str, Path]) -> list[CaptionedImage]:
    """Reads the images of every source that has a reader, in the recipe's order.

    data: the folder of each source. Raises InputError where sources are missing, are unknown, or
    do not hold what their reader expects; ConfigError for a reader that cannot be loaded.
    """
    missing = [name for name in recipe.sources if name not in data]
    unknown = [name for name in data if name not in recipe.sources]
    if missing or unknown:
        raise InputError(
            f"recipe '{recipe.name}' trains on {', '.join(recipe.sources)}; "
            f"missing: {', '.join(missing) or 'none'}; not in it: {', '.join(unknown) or 'none'}; "
            "name each in `data`"
        )
    images: list[CaptionedImage] = []
    for name in recipe.sources:
        if name in recipe.readers:
            images += load_function(recipe, recipe.readers[name])(name, data)
        elif name == CATALOG:
            images += read_catalog(data[name])
    return images


def read_catalog(path: Path) -> Iterator[CaptionedImage]:
    """Yields the items with an image and a text of a folder or table that mmsearch can index."""
    for item in open_source(path, name=CATALOG, options=SourceOptions()):
        if isinstance(item, Record) and item.image is not None and item.text:
            lines = [line.strip() for line in item.text.splitlines() if line.strip()]
            yield CaptionedImage(
                key=item.key,
                source=CATALOG,
                concept=concept_of(lines[0]),
                captions=tuple(dict.fromkeys(lines)),
                path=item.image,
                photo=True,
            )


def load_corpus_function(recipe: Recipe) -> CorpusFunction | None:
    """Loads the function that makes further texts, its arguments bound; None without one.

    Raises ConfigError if it cannot be loaded or does not take the arguments.
    """
    if recipe.corpus.function is None:
        return None
    function = load_function(recipe, recipe.corpus.function)
    try:
        signature(function).bind(None, **recipe.corpus.arguments)
    except TypeError as error:
        raise ConfigError(f"corpus.arguments of recipe '{recipe.name}': {error}") from None
    return partial(function, **recipe.corpus.arguments)


def load_function(recipe: Recipe, name: str) -> Callable[..., Any]:
    """Loads `FILE:FUNCTION` from the recipe's folder. Raises ConfigError."""
    file_name, _, function = name.partition(":")
    if recipe.folder is None:
        raise ConfigError(f"recipe '{recipe.name}' has no folder to load {name} from")
    file = recipe.folder.resolve() / file_name
    spec = spec_from_file_location(f"mmsearch_recipe_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"recipe '{recipe.name}' names {name}, but there is no {file}")
    module = module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        raise ConfigError(f"recipe '{recipe.name}' names {name}, but {file} has no {function}()")
    return found  # type: ignore[no-any-return]
