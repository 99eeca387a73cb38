"""Encoders: models that embed images and texts in one space, loaded by name."""

from typing import TYPE_CHECKING

from mmsearch.lazy import lazy_exports

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder, TextEncoder
    from mmsearch.encoders.devices import DeviceChoice, choose_device
    from mmsearch.encoders.model_zoo import MODELS, KnownModel
    from mmsearch.encoders.registry import load_encoder, load_text_encoder

__all__ = [
    "MODELS",
    "DeviceChoice",
    "Encoder",
    "KnownModel",
    "TextEncoder",
    "choose_device",
    "load_encoder",
    "load_text_encoder",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "DeviceChoice": "devices",
        "Encoder": "base",
        "KnownModel": "model_zoo",
        "MODELS": "model_zoo",
        "TextEncoder": "base",
        "choose_device": "devices",
        "load_encoder": "registry",
        "load_text_encoder": "registry",
    },
)
