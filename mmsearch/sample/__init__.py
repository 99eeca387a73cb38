"""The sample catalog: public-domain drawings and a product table.

Its files ship in the package; `tools/build_sample.py` in the repository generates them. An
interrupted write is completed by the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from mmsearch.deprecation import renamed_attribute
from mmsearch.errors import InputError
from mmsearch.files import replaced_file

TABLE = "products.csv"
LICENSE = "LICENSE.txt"
IMAGES = "images"


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What is in the folder.

    images: their number. bytes: of all files. written: how many files were missing.
    """

    folder: Path
    table: Path
    images: int
    bytes: int
    written: int

    pictures = renamed_attribute("pictures", "images")


def write_sample(folder: Path, *, overwrite: bool = False) -> SampleReport:
    """Writes the sample catalog into `folder`, which is created if need be. Raises InputError.

    A folder with other files is refused; with `overwrite`, files with the sample's names are
    replaced and others left alone. A complete sample is not written again.
    """
    sample = {name: source.read_bytes() for name, source in _shipped_files()}
    try:
        present = _visible_files(folder)
        current = {name for name, path in present.items() if _holds(path, sample.get(name))}
        if (foreign := sorted(present.keys() - current)) and not overwrite:
            raise InputError(_refusal(folder, foreign))
        for name in sample.keys() - current - {TABLE}:
            _write(folder / name, sample[name])
        # Last, so that a folder with a table is a complete catalog.
        if TABLE not in current:
            _write(folder / TABLE, sample[TABLE])
    except OSError as error:
        raise InputError(
            f"cannot write the sample catalog into {folder}: {error.strerror or error}; "
            "name a folder that can be written"
        ) from error
    return SampleReport(
        folder=folder,
        table=folder / TABLE,
        images=sum(name.startswith(f"{IMAGES}/") for name in sample),
        bytes=sum(map(len, sample.values())),
        written=len(sample.keys() - current),
    )


def _shipped_files() -> Iterator[tuple[str, Traversable]]:
    """Yields the POSIX path in the catalog and the file in the package."""
    data = files("mmsearch.sample") / "data"
    for name in (TABLE, LICENSE):
        yield name, data / name
    for image in (data / IMAGES).iterdir():
        if image.name.endswith(".webp"):
            yield f"{IMAGES}/{image.name}", image


def _visible_files(folder: Path) -> dict[str, Path]:
    """Returns the files in `folder` by POSIX path, without hidden ones such as a store."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the sample catalog")
    found = ((path.relative_to(folder), path) for path in folder.rglob("*") if not path.is_dir())
    return {relative.as_posix(): path for relative, path in found if not _is_hidden(relative)}


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(relative.as_posix()).parts)


def _holds(path: Path, content: bytes | None) -> bool:
    return content is not None and path.is_file() and path.read_bytes() == content


def _refusal(folder: Path, foreign: list[str]) -> str:
    shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
    return (
        f"{folder} holds files that are not the sample catalog's: {shown}; "
        "name a new folder, or use `overwrite=True` to write among them"
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path, flush=False) as stream:
        stream.write(content)
