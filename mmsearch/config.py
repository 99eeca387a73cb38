"""Frozen settings: defaults < mmsearch.toml < environment (MMSEARCH_…) < flags.

The file is looked for upwards from the working directory. All faults are reported at once.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mmsearch.errors import ConfigError
from mmsearch.records import FusionChoice

FILE_NAME = "mmsearch.toml"

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def bytes_of(size: object) -> object:
    """'2GB', '512 MiB' or a number of bytes → bytes; 'auto' → 0; other types as they are.

    Raises ValueError.
    """
    if not isinstance(size, str):
        return size
    if size.strip().lower() == "auto":
        return 0
    found = _SIZE.fullmatch(size.strip())
    if found is None or not float(found[1]):
        raise ValueError("a size is a number and a unit, such as 2GB or 512MiB, or auto")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** " kmgt".index(found[2].lower() or " "))


class Settings(BaseSettings):
    """What the user may set once for all commands; read, never written."""

    model_config = SettingsConfigDict(env_prefix="MMSEARCH_", frozen=True, extra="forbid")

    store: Path | None = Field(None, description="the store's folder; found upwards if not set")
    model: str | None = Field(None, description="the encoder; a store remembers its own")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:N or mps",
    )
    batch_size: int | None = Field(
        None, ge=1, le=4096, description="pictures or texts per forward pass; by device if not set"
    )
    commit_seconds: float = Field(10, gt=0, description="rows are written at least this often")
    workers: int | None = Field(None, ge=1, le=256, description="decoding processes")
    max_pixels: int = Field(178_956_970, ge=1, description="largest picture, in pixels")
    max_image_bytes: int = Field(256 * 2**20, ge=1, description="largest picture file, in bytes")
    max_text_bytes: int = Field(4 * 2**20, ge=1, description="largest text file, in bytes")
    fusion: FusionChoice | None = Field(
        None, description="how products are made: late, early, attention, or auto for the model's"
    )
    image_weight: float | None = Field(
        None, ge=0, le=1, description="share of the picture in late fusion; 0.5 if nothing says"
    )
    index: (
        Literal["auto", "flat", "hnsw", "ivf-flat", "ivf-sq8", "ivf-pq", "binary", "lance"] | None
    ) = Field(None, description="index kind; a store remembers its own")
    recall: float | None = Field(
        None, gt=0, lt=1, description="recall@10 that the index must reach; 0.95 if nothing says"
    )
    memory: Annotated[int | None, BeforeValidator(bytes_of)] = Field(
        None,
        description="what an index may take while it is searched, like 2GB; auto: half the machine",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = find_upwards(FILE_NAME)
        from_file = (TomlConfigSettingsSource(settings_cls, toml_file=file),) if file else ()
        return (init_settings, env_settings, *from_file)


def read_settings(**flags: object) -> Settings:
    """Settings with the flags that are not None on top. Raises ConfigError, listing every fault."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = "; ".join(
            f"{_dotted(fault['loc'])}: {fault['msg']}, got {fault['input']!r}"
            for fault in error.errors()
        )
        raise ConfigError(f"settings are wrong: {faults}") from error
    except ValueError as error:
        raise ConfigError(f"{find_upwards(FILE_NAME)} is not valid TOML: {error}") from error


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def find_upwards(name: str, start: Path | None = None) -> Path | None:
    """The nearest `name` in `start` (default: the working directory) or a folder above it."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / name).exists():
            return folder / name
    return None
