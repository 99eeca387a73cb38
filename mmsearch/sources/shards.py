"""The source of WebDataset shards: tar archives in which files of equal stem are one item.

Members are read one after another and never unpacked to their own paths.
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath

from mmsearch.errors import InputError, SourceUnavailable
from mmsearch.media import SNIFF_BYTES, MediaBounds, sniff
from mmsearch.records import Failure, ImageFile, Record, Scalar, printable_path
from mmsearch.sources.captions import Caption, add_json
from mmsearch.sources.fields import clean_text, join_texts
from mmsearch.sources.globs import is_hidden
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.picture_files import PictureFiles

SUFFIX = ".tar"
_TEXTS = (".txt", ".text", ".caption", ".md")
# Members of an item beyond these are taken for a mistake.
_MOST_MEMBERS = 1_000


class ShardSource:
    """The items of one tar archive, or of all those in a folder.

    Keys are the members' paths without suffix, after the name of the shard if there are several.

    root: the archive or the folder.
    """

    def __init__(
        self,
        root: Path,
        shards: Sequence[Path],
        *,
        name: str,
        options: SourceOptions,
        pictures: PictureFiles,
    ) -> None:
        """pictures: where images are kept. Raises InputError if a shard is no tar archive."""
        self.root, self.name, self._options = root.absolute(), name, options
        self._shards, self._pictures = [shard.absolute() for shard in shards], pictures
        for shard in self._shards[:1]:
            _open(shard).close()
        count = len(self._shards)
        archives = "a tar archive" if count == 1 else f"{count:,} tar archives"
        self.notes = (
            f"{printable_path(root)}: {archives} of files whose equal names are one item",
        )

    def __iter__(self) -> Iterator[Record | Failure]:
        if not self.root.exists():
            raise SourceUnavailable(
                f"{printable_path(self.root)} no longer exists; check that its drive is mounted"
            )
        for shard in self._shards:
            prefix = f"{printable_path(shard.stem)}/" if len(self._shards) > 1 else ""
            try:
                yield from self._read(shard, prefix)
            except (InputError, tarfile.TarError, OSError, EOFError) as error:
                key = f"{self.name}/{prefix}".rstrip("/")
                yield Failure(key, printable_path(shard), "source", f"is damaged: {error}")

    def _read(self, shard: Path, prefix: str) -> Iterator[Record | Failure]:
        seen: set[str] = set()
        with _open(shard) as archive:
            for stem, members in groupby(_files(archive), key=lambda member: _stem(member.name)):
                key = f"{self.name}/{prefix}{printable_path(stem)}"
                if stem in seen:
                    reason = f"'{stem}' comes again after other items; sort the archive by name"
                    yield Failure(f"{key} (again)", printable_path(shard), "source", reason)
                    continue
                seen.add(stem)
                yield from self._item(key, shard, _contents(archive, members))

    def _item(
        self, key: str, shard: Path, contents: Iterator[tuple[str, bytes | str]]
    ) -> Iterator[Record | Failure]:
        caption, metadata = Caption(), dict[str, Scalar]()
        images: list[ImageFile] = []
        for number, (name, content) in enumerate(contents):
            kind = _suffix(name)
            problem = None
            if isinstance(content, str):
                problem = content
            elif number >= _MOST_MEMBERS:
                problem = f"has more than {_MOST_MEMBERS:,} files"
            elif (image := sniff(content[:SNIFF_BYTES])) is not None:
                path = self._pictures.add(content, image)
                images.append(ImageFile(printable_path(path), path))
                metadata.setdefault("filename", clean_text(printable_path(name)))
            elif kind in (*_TEXTS, ".json") and len(content) > self._options.max_text_bytes:
                problem = f"has {len(content):,} bytes; raise max_text_bytes to read it"
            else:
                problem = _add_text(kind, content, caption, metadata)
            if problem is not None:
                yield Failure(key, printable_path(shard), "read", f"'{name}' {problem}")
                if number >= _MOST_MEMBERS:
                    break
        text = join_texts(caption.texts)
        if images or text:
            yield Record(
                key,
                images[0].uri if images else "",
                images[0].path if images else None,
                text,
                {**metadata, **caption.metadata},
                tuple(images[1:]),
            )


def is_shard(path: Path) -> bool:
    """Whether a file is a tar archive by its name."""
    return path.name.lower().endswith(SUFFIX)


def shards_in(folder: Path) -> list[Path]:
    """Returns the shards of a folder that holds nothing else but files named after them."""
    try:
        paths = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except OSError:
        return []
    shards = [path for path in paths if is_shard(path)]
    stems = tuple(shard.stem for shard in shards)
    # img2dataset writes 00000.parquet and 00000_stats.json beside 00000.tar.
    alone = all(path.is_file() and path.name.startswith(stems) for path in paths)
    return shards if alone else []


def _open(shard: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(shard, "r:")
    except (tarfile.TarError, OSError) as error:
        raise InputError(
            f"{printable_path(shard)} is no tar archive, or compressed: {error}; pack it again "
            "as a plain .tar"
        ) from error


def _files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yields the regular files; links could lead anywhere, and devices block.

    Raises tarfile.ReadError where the archive is cut short.
    """
    while (member := archive.next()) is not None:
        # The archive would otherwise keep all its members in memory.
        archive.members.clear()  # type: ignore[attr-defined]
        if member.isreg() and not is_hidden(PurePosixPath(member.name).name):
            yield member
    # tarfile takes a header that is cut short for the end, which is a block of zeros.
    if archive.fileobj is not None:
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends before its last file")


def _contents(
    archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]
) -> Iterator[tuple[str, bytes | str]]:
    """Yields names and contents, or why a member is not read."""
    limit = MediaBounds().max_bytes
    for member in members:
        if member.size > limit:
            yield member.name, f"has {member.size:,} bytes, the limit is {limit:,}"
            continue
        file = archive.extractfile(member)
        yield member.name, file.read() if file else b""


def _add_text(
    kind: str, content: bytes, caption: Caption, metadata: dict[str, Scalar]
) -> str | None:
    """Adds a caption, a JSON object or a class; returns why it cannot be read."""
    try:
        if kind in _TEXTS:
            caption.texts.append(content.decode("utf-8-sig"))
        elif kind == ".json":
            add_json(json.loads(content), caption, {*metadata, *caption.metadata})
        elif kind == ".cls":
            metadata["cls"] = clean_text(content.decode()) or None
    except (ValueError, RecursionError) as error:
        return f"cannot be read: {error}"
    return None


def _stem(name: str) -> str:
    """The part of a member's path before the first dot of its file name: one item's."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name)).lstrip("./")


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
