"""The source of a folder: images with their captions, and text files as documents."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mmsearch.errors import InputError, SourceUnavailable
from mmsearch.media import raw_format, raw_format_of, read_text, sniff
from mmsearch.media.metadata import SIDECAR_SUFFIX
from mmsearch.records import Failure, Record, Scalar, Stage, printable_path
from mmsearch.sources.captions import (
    IMAGE_SUFFIXES,
    is_caption,
    read_caption,
    read_head,
    suffix,
)
from mmsearch.sources.fields import join_texts, safe_column_name
from mmsearch.sources.globs import Globs
from mmsearch.sources.metadata_tables import MetadataTables
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.walk import FoundFile, Step, Unreadable, find_file, reason_of, walk

DOCUMENT_SUFFIXES = (".txt", ".md")


class FolderSource:
    """The images and texts under a folder, or a single file; keys are relative paths.

    root: the folder or file.
    """

    def __init__(
        self, root: Path, *, name: str, options: SourceOptions, notes: tuple[str, ...] = ()
    ) -> None:
        self.root, self.name, self._options = root.absolute(), name, options
        self._globs = Globs(options)
        self._opening_notes = notes
        self._skipped: Counter[str] = Counter()
        self._skipped_raw: Counter[str] = Counter()
        self._tables = MetadataTables(name, options.max_text_bytes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was recognised, and after an iteration the skipped files by extension."""
        found = (*self._opening_notes, *self._tables.notes)
        return (*found, *self._raw_notes(), *self._skipped_notes())

    @property
    def skipped(self) -> dict[str, int]:
        """The numbers of files that the last iteration skipped, by extension or raw format."""
        return dict((self._skipped_raw + self._skipped).most_common())

    def _raw_notes(self) -> Iterator[str]:
        if self._skipped_raw:
            total = self._skipped_raw.total()
            kinds = ", ".join(f"{kind} {count:,}" for kind, count in self._skipped_raw.items())
            photos = "1 camera raw photo" if total == 1 else f"{total:,} camera raw photos"
            yield f"{photos} skipped: {kinds}; a JPEG beside a raw photo is indexed"

    def _skipped_notes(self) -> Iterator[str]:
        if not self._skipped:
            return
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self._skipped.most_common(8))
        more = ", …" if len(self._skipped) > 8 else ""
        total = self._skipped.total()
        files = "1 file of another kind" if total == 1 else f"{total:,} files of other kinds"
        yield f"{files} skipped: {kinds}{more}"

    def __iter__(self) -> Iterator[Record | Failure]:
        skipped: Counter[str] = Counter()
        raw: Counter[str] = Counter()
        self._tables = MetadataTables(self.name, self._options.max_text_bytes)
        for step in self._steps():
            if isinstance(step, FoundFile):
                yield from self._tables.enter(step.folder)
                yield from self._read(step, skipped, raw)
            elif isinstance(step, Unreadable):
                self._require_root()
                yield self._failure(step.relative, step.path, step.reason, stage="source")
            else:
                skipped["special"] += 1
        self._skipped, self._skipped_raw = skipped, raw

    def _steps(self) -> Iterator[Step]:
        self._require_root()
        if self.root.is_dir():
            return walk(self.root, self._globs)
        return iter([find_file(self.root)])

    def _require_root(self) -> None:
        if not os.access(self.root, os.R_OK):
            state = "cannot be read" if self.root.exists() else "no longer exists"
            raise SourceUnavailable(
                f"{printable_path(self.root)} {state}; check its permissions and that its drive "
                "is mounted"
            )

    def _read(
        self, file: FoundFile, skipped: Counter[str], raw: Counter[str]
    ) -> Iterator[Record | Failure]:
        if not self._globs.includes(file.relative):
            return
        kind = suffix(file.name)
        if file.path != str(self.root) and (is_caption(file) or self._tables.holds(file)):
            return
        try:
            head = read_head(file.path)
        except OSError as error:
            yield self._failure(file.relative, file.path, reason_of(error))
            return
        image = sniff(head)
        # The directory that distinguishes a raw photo from other TIFFs may be anywhere in the file.
        raw_name = raw_format_of(file.path) if image == "tiff" else raw_format(head)
        if raw_name is not None:
            raw[raw_name] += 1
        elif image is not None:
            yield from self._image(file)
        elif kind in DOCUMENT_SUFFIXES:
            yield self._document(file)
        elif kind in IMAGE_SUFFIXES:
            yield self._failure(file.relative, file.path, _no_image(head))
        elif kind != SIDECAR_SUFFIX or not self._options.metadata:
            skipped[kind or "no extension"] += 1

    def _image(self, file: FoundFile) -> Iterator[Record | Failure]:
        metadata = _metadata(file)
        caption = read_caption(file, taken=set(metadata), bounds=self._options.bounds)
        for problem in caption.problems:
            yield self._failure(problem.relative, problem.path, problem.reason)
        text, described = self._tables.row(file)
        metadata.update(caption.metadata)
        for name, value in described.items():
            metadata[safe_column_name(name, metadata)] = value
        yield Record(
            key=self._key(file.relative),
            uri=printable_path(file.path),
            image=Path(file.path),
            text=join_texts([text, *caption.texts]),
            metadata=metadata,
        )

    def _document(self, file: FoundFile) -> Record | Failure:
        try:
            text = read_text(Path(file.path), bounds=self._options.bounds).strip()
        except InputError as error:
            return self._failure(file.relative, file.path, str(error))
        if not text:
            return self._failure(file.relative, file.path, "holds only blanks")
        return Record(
            key=self._key(file.relative),
            uri=printable_path(file.path),
            text=text,
            metadata=_metadata(file),
        )

    def _failure(self, relative: str, path: str, reason: str, *, stage: Stage = "read") -> Failure:
        return Failure(self._key(relative), printable_path(path), stage, reason)

    def _key(self, relative: str) -> str:
        return f"{self.name}/{printable_path(relative)}"


def _metadata(file: FoundFile) -> dict[str, Scalar]:
    return {
        "folder": printable_path(file.folder.relative.rstrip("/")),
        "filename": printable_path(file.name),
        "modified": file.modified,
        "bytes": file.size,
    }


def _no_image(head: bytes) -> str:
    if not head:
        return "is empty (0 bytes) but named like a picture; fetch it again or remove it"
    start = " ".join(head.decode("utf-8", "backslashreplace").split())
    if start.isprintable() and "\\x" not in start:
        return f"is named like a picture but holds text: '{start[:30]}…'"
    return f"is named like a picture but holds none; its first bytes are {head[:8].hex(' ')}"
