"""Which model, device and fusion hold: those of this run's settings, else those of the store."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.config import Settings
from mmsearch.errors import SpaceMismatch
from mmsearch.records import Floats, Ids, Pixels, SpaceId, printable_path
from mmsearch.store.manifest import Manifest

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.encoders.base import Encoder, TextEncoder
    from mmsearch.fusion import Fusion
    from mmsearch.media import Preprocessing

DEFAULT_MODEL = "builtin"


def model_name(settings: Settings, manifest: Manifest | None) -> str:
    """Returns the model that is set, else the store's, else the built-in one."""
    return settings.model or (manifest.model if manifest else DEFAULT_MODEL)


def require_same_space(root: Path, manifest: Manifest | None, settings: Settings) -> None:
    """Checks the model that is set before it is loaded, or even downloaded.

    Raises InputError where there is no such model, SpaceMismatch where the store `root` has vectors
    of another one.
    """
    from mmsearch.encoders.registry import resolve, space_of

    name = model_name(settings, manifest)
    ref = resolve(name)
    if manifest is None or ref.name == manifest.model:
        return
    space = space_of(name)
    if space is not None:
        manifest.space.require(space, holder=printable_path(root))
    elif ref.kind == "hub":
        raise SpaceMismatch(
            f"{printable_path(root)} holds vectors of '{manifest.model}', not of '{name}'; leave "
            f"out `model`, name another `path`, or run `catalog.promote('{name}')`"
        )


def load_model(name: str, *, device: str = "auto", batch_size: int | None = None) -> "Encoder":
    """Loads a model to embed texts and images with, without a catalog.

    name: 'builtin', an alias that 'mmsearch models' lists, 'architecture:pretrained',
    'architecture:checkpoint.pt', 'hf-hub:org/model' or a folder; downloaded if the cache lacks it.
    device: 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'. batch_size: images per forward pass; None: by
    device. `encode_texts` and `encode_images` (Pillow images in mode RGB) return float32 (n, dim),
    unit rows.
    Raises InputError, MissingModel, MissingDependency.

    >>> model = mmsearch.load_model("builtin")
    >>> model.encode_texts(["red apple", "guitar"]).shape
    (2, 512)
    >>> model.space.model
    'builtin'
    """
    from mmsearch.encoders.registry import load_encoder

    return load_encoder(name, device=device, batch_size=batch_size)


class DeferredEncoder:
    """A model of which nothing is loaded before the first image or text is encoded.

    Its space and preprocessing are read from its files.
    """

    def __init__(
        self, space: SpaceId, preprocessing: "Preprocessing", load: "Callable[[], Encoder]"
    ) -> None:
        self.space, self.preprocessing, self._load = space, preprocessing, load

    @cached_property
    def _encoder(self) -> "Encoder":
        return self._load()

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Embeds texts, as `Encoder` does."""
        return self._encoder.encode_texts(texts)

    def encode_images(self, images: "Sequence[Image]") -> Floats:
        """Embeds images, as `Encoder` does."""
        return self._encoder.encode_images(images)

    def encode_pixels(self, pixels: Pixels) -> Floats:
        """Embeds prepared images, as `Encoder` does."""
        return self._encoder.encode_pixels(pixels)

    @property
    def context(self) -> int:
        """The number of tokens that it reads of a text, with special ones."""
        return self._encoder.context

    def text_lengths(self, texts: Sequence[str]) -> Ids:
        """Returns the number of tokens of each text, as `Encoder` does."""
        return self._encoder.text_lengths(texts)

    def overlong(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts that are cut."""
        return self._encoder.overlong(texts)

    def unknown(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts of which the model knows no word."""
        return self._encoder.unknown(texts)


class Encoders:
    """Loads each encoder of a catalog once, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._full: dict[str, Encoder] = {}
        self._text: dict[str, TextEncoder] = {}

    def full(self, model: str) -> "Encoder":
        """Returns both towers of a model. Raises InputError, MissingModel."""
        if model not in self._full:
            self._full[model] = load_model(
                model, device=self._settings.device, batch_size=self._settings.batch_size
            )
        return self._full[model]

    def deferred(self, model: str) -> "Encoder":
        """Like `full`, loaded at first use where its files are here. Raises InputError."""
        from mmsearch.encoders.registry import model_files, space_of

        space = space_of(model)
        if space is None:
            return self.full(model)
        return DeferredEncoder(space, model_files(model).preprocessing, lambda: self.full(model))

    def text(self, model: str) -> "TextEncoder":
        """Returns the text tower alone, which may be lighter, unless both are loaded already."""
        from mmsearch.encoders.registry import load_text_encoder

        if model in self._full:
            return self._full[model]
        if model not in self._text:
            self._text[model] = load_text_encoder(model, device=self._settings.device)
        return self._text[model]


def evaluated_fusion(model: str, space: SpaceId, settings: Settings) -> "Fusion":
    """Returns the fusion to evaluate a model with: late if set so, else the model's own."""
    from mmsearch.fusion import choose_fusion
    from mmsearch.ingest.index_update import model_fusion

    return choose_fusion(
        "late" if settings.fusion == "late" else "auto",
        lambda: model_fusion(model, space),
        image_weight=settings.image_weight,
        dim=space.dim,
        model=model,
    )
