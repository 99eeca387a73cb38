"""Which model, device and fusion hold: those of this run's settings, else those of the store."""

from typing import TYPE_CHECKING

from mmsearch.config import Settings
from mmsearch.records import SpaceId
from mmsearch.store.manifest import Manifest

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder, TextEncoder
    from mmsearch.fusion import Fusion

DEFAULT_MODEL = "builtin"


def model_name(settings: Settings, manifest: Manifest | None) -> str:
    return settings.model or (manifest.model if manifest else DEFAULT_MODEL)


def load_encoder(model: str, settings: Settings) -> "Encoder":
    """Raises InputError, MissingModel, MissingDependency."""
    from mmsearch.encoders import registry

    return registry.load_encoder(model, device=settings.device, batch_size=settings.batch_size)


class Encoders:
    """Loads each encoder of a catalog once, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._full: dict[str, Encoder] = {}
        self._text: dict[str, TextEncoder] = {}

    def full(self, model: str) -> "Encoder":
        if model not in self._full:
            self._full[model] = load_encoder(model, self._settings)
        return self._full[model]

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
