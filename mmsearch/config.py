"""Frozen settings, each from the first that has it: arguments, environment, mmsearch.toml, default.

The file is the nearest one in the working directory or above it. All errors are reported at once.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ByteSize, Field, TypeAdapter, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mmsearch.errors import ConfigError
from mmsearch.records import FusionChoice

FILE_NAME = "mmsearch.toml"
_ENV_PREFIX = "MMSEARCH_"
_DEVICES = "auto, cpu, cuda, cuda:1 or mps"
# What pydantic's error types ask for; {} is the bound.
_BOUNDS = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
}
_SIZE_TEXT = "a number with a unit, such as 2GB or 512MiB"
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "path": "a path",
    "string": "a text",
    "byte": _SIZE_TEXT,
}

Size: TypeAlias = Annotated[ByteSize, Field(ge=1)]
_SIZE = TypeAdapter(Size)


def _size_or_auto(size: object) -> object:
    """Reads '2GB' and '512 MiB' as bytes, 'auto' as 0. Raises ValueError."""
    if not isinstance(size, str):
        return size
    text = size.strip().lower()
    if text == "auto":
        return 0
    try:
        # '2Gi' has no 'b' either.
        return int(_SIZE.validate_python(f"{text}b" if text.endswith("i") else text))
    except ValidationError as error:
        raise ValueError(f"must be {_SIZE_TEXT}, or auto") from error


def _named(folder: object) -> object:
    """Refuses an empty path, which would be the working directory. Raises ValueError."""
    if folder == "":
        raise ValueError("must name a folder")
    return folder


class Settings(BaseSettings):
    """Settings that apply to every command; read, never written."""

    model_config = SettingsConfigDict(env_prefix=_ENV_PREFIX, frozen=True, extra="forbid")

    store: Annotated[Path | None, BeforeValidator(_named)] = Field(
        None, description="folder of the store; the nearest .mmsearch in or above this folder"
    )
    model: str | None = Field(None, description="encoder; a store remembers its own")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, cuda, cuda:N or mps",
    )
    batch_size: int | None = Field(
        None, ge=1, le=4096, description="images or texts per forward pass; by device and model"
    )
    lock_timeout: float = Field(
        600, ge=0, description="seconds to wait for another process that writes to the store"
    )
    commit_seconds: float = Field(10, gt=0, description="longest time between two writes")
    workers: int | None = Field(None, ge=1, le=256, description="processes that decode images")
    max_pixels: int = Field(178_956_970, ge=1, description="largest image, in pixels")
    max_image_bytes: Size = Field(
        ByteSize(256 * 2**20), description="largest image file, as 256MiB"
    )
    max_text_bytes: Size = Field(ByteSize(4 * 2**20), description="largest text file, as 4MiB")
    max_passages: int = Field(
        10_000, ge=1, description="most passages that a long text is split into"
    )
    fetch_from: tuple[str, ...] = Field(
        (), description="hosts that images may be fetched from although they are not public"
    )
    fetch_connections: int = Field(16, ge=1, le=256, description="URLs fetched at a time")
    fetch_per_host: int = Field(4, ge=1, le=64, description="URLs of one host fetched at a time")
    fetch_timeout: float = Field(60, gt=0, description="seconds to fetch a URL in")
    fetch_bytes: Size = Field(ByteSize(32 * 2**20), description="largest fetched image, as 32MiB")
    fetch_refresh: float | None = Field(
        None, ge=0, description="days after which a URL is asked for changes; never"
    )
    fetch_proxy: str | None = Field(None, description="URL of the proxy to fetch through; none")
    watch_delay: float = Field(
        2, ge=0, description="seconds without changes before 'watch' updates the store"
    )
    watch_interval: float = Field(
        3600, gt=0, description="seconds after which 'watch' looks at every source again"
    )
    fusion: FusionChoice | None = Field(
        None, description="fusion of product vectors: late, early, attention or auto"
    )
    image_weight: float | None = Field(
        None, ge=0, le=1, description="weight of the image in late fusion; 0.5"
    )
    index: (
        Literal["auto", "flat", "hnsw", "ivf-flat", "ivf-sq8", "ivf-pq", "binary", "lance"] | None
    ) = Field(None, description="index kind; a store remembers its own")
    recall: float | None = Field(
        None, gt=0, lt=1, description="recall@10 that the index is tuned for; 0.95"
    )
    memory: Annotated[int | None, BeforeValidator(_size_or_auto)] = Field(
        None,
        description="memory that an index may use while it is searched; half of the machine's",
    )

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917  pydantic passes them by position
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns the sources by precedence: arguments, environment, mmsearch.toml."""
        file = find_upwards(FILE_NAME)
        from_file = (TomlConfigSettingsSource(settings_cls, toml_file=file),) if file else ()
        return (init_settings, env_settings, *from_file)


def read_settings(**flags: object) -> Settings:
    """Returns the settings, with the flags that are not None first.

    Raises ConfigError that names every wrong setting and where it was set.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [f"{_place(fault, given)}{_fault_text(fault)}" for fault in error.errors()]
        if len(faults) > 1:
            faults.insert(0, f"{len(faults)} settings are wrong:")
        raise ConfigError("\n  ".join(faults)) from error
    except ValueError as error:
        raise ConfigError(f"{find_upwards(FILE_NAME)} is not valid TOML: {error}") from error


def _place(fault: Mapping[str, Any], given: Mapping[str, object]) -> str:
    """Returns 'MMSEARCH_DEVICE: ' or 'mmsearch.toml: '; '' for an argument."""
    name = _name(fault)
    if name in given:
        return ""
    variable = f"{_ENV_PREFIX}{name.upper()}"
    return f"{variable if variable in os.environ else FILE_NAME}: "


def _fault_text(fault: Mapping[str, Any]) -> str:
    """Describes what is wrong with a setting, what was got, and what it must be."""
    name, kind, value = _name(fault), str(fault["type"]), fault["input"]
    if kind == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "docs/guide.md lists the settings"
        return f"no setting '{name}'; {hint}"
    if kind == "string_pattern_mismatch" and name == "device":
        return f"unknown device '{value}'; use {_DEVICES}"
    if kind == "literal_error":
        return f"unknown {name} '{value}'; use {fault['ctx']['expected'].replace(chr(39), '')}"
    return f"{name} {constraint_text(fault)}"


def constraint_text(fault: Mapping[str, Any]) -> str:
    """Returns 'must be at least 1, got 0' for an error of pydantic's `ValidationError.errors()`."""
    kind, value = str(fault["type"]), fault["input"]
    if kind in _BOUNDS:
        bound, text = _BOUNDS[kind]
        limit = float(fault["ctx"][bound])
        return f"must be {text.format(f'{limit:g}')}, got {value!r}"
    if kind == "value_error":
        return f"{fault['ctx']['error']}, got {value!r}"
    return f"must be {_KINDS.get(kind.split('_')[0], 'another value')}, got {value!r}"


def _name(fault: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in fault["loc"])


def find_upwards(name: str, start: Path | None = None) -> Path | None:
    """Returns the nearest `name` in `start` or a folder above it; None if there is none.

    start: default is the working directory.
    """
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / name).exists():
            return folder / name
    return None
