"""The source of a table: a record per item, with its images, joined texts and typed metadata."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mmsearch.errors import InputError, SourceUnavailable
from mmsearch.records import Failure, ImageFile, Record, Stage, Value, printable_path, real_path
from mmsearch.sources.columns import recognise, requested_images, require_content
from mmsearch.sources.fields import join_texts
from mmsearch.sources.given_vectors import GivenVectors
from mmsearch.sources.identities import broken_ids
from mmsearch.sources.image_paths import is_url, shortened
from mmsearch.sources.image_roots import ImageRoots, relative_name
from mmsearch.sources.named_images import find_named_images
from mmsearch.sources.options import SourceOptions
from mmsearch.sources.picture_files import PictureFiles
from mmsearch.sources.roles import (
    cells_of_images,
    image_samples,
    named_like_ids,
    with_ids_as_they_are,
)
from mmsearch.sources.row_groups import grouped
from mmsearch.sources.rows import BadRow, Row
from mmsearch.sources.survey import SAMPLE_ROWS, Survey, survey
from mmsearch.sources.table_files import open_rows
from mmsearch.sources.table_format import parse_format
from mmsearch.sources.table_images import TableImages
from mmsearch.sources.typed_rows import typed_rows
from mmsearch.sources.values import as_text
from mmsearch.sources.zipped_tables import ZippedTable


class TableSource:
    """The rows of a table file; keys are the id column or the row number.

    Opening it reads the file once for its columns and types, and once more for ids that are guessed
    if there are many rows. Raises InputError if the file cannot be read or lacks columns that the
    options name.

    root: the file. columns: their roles. vectors: made elsewhere, None if the
    options name none. images: finds those of a row. row_count: of the readable
    rows when it was opened. holds_images: whether cells hold images as bytes. notes: what was
    recognised, for the user.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        options: SourceOptions,
        notes: tuple[str, ...] = (),
        pictures: PictureFiles | None = None,
        archive: ZippedTable | None = None,
    ) -> None:
        """pictures: keeps images that are bytes in cells; None: in a temporary folder.

        archive: the archive `path`, whose table and images are read.
        """
        self.root, self.name, self._options = path.absolute(), name, options
        self._archive = archive
        file = archive.unpacked if archive else self.root
        self._place = archive.place if archive else self.root
        table_format = parse_format(options.columns, options.table)
        rows = open_rows(file, table_format)
        self._rows, found = typed_rows(
            rows, with_ids_as_they_are(survey(rows, table_format), options.id_column)
        )
        self._survey = _without(found, options.vector_columns)
        self.vectors = GivenVectors(file, rows, options) if options.gives_vectors else None
        self.row_count = self._survey.rows
        self._broken_ids: dict[str, str] = {}
        given = real_path(options.image_root).absolute() if options.image_root else None
        members = archive.members if archive else None
        roots = ImageRoots(self._place.parent, given, archive=members)
        roots.choose(image_samples(self._survey))
        table = printable_path(self._place.name)
        self.columns = recognise(
            self._survey,
            options,
            exists=roots.exists,
            broken=self._find_broken_ids,
            pictures=self._rows.image_columns,
            table=table,
        )
        columns, named = self.columns.images, None
        self.holds_images = not set(columns).isdisjoint(self._rows.image_columns)
        wanted = requested_images(self._survey, options) != ()
        there = self.holds_images or any(map(roots.exists, cells_of_images(self._survey, columns)))
        if wanted and not there:
            named = find_named_images(roots, named_like_ids(self._survey, columns))
        if self.row_count and named is None and not options.gives_vectors:
            require_content(self._survey, self.columns, table)
        # Where images are named by ids, no path in the columns leads to one.
        columns = () if named else columns
        self.images = TableImages(
            roots,
            columns,
            named=named,
            pictures=pictures or PictureFiles(),
            fetch=options.fetch,
        )
        self.notes = (*notes, *self._describe())

    def __iter__(self) -> Iterator[Record | Failure]:
        if not self.root.exists():
            # The table of an archive has been unpacked and would still be there.
            raise SourceUnavailable(
                f"{printable_path(self.root)} does not exist; check that its drive is mounted"
            )
        seen: dict[str, int] = {}
        read = self._rows.with_images(self.columns.images)
        for rows in grouped(read, self.columns.group):
            if isinstance(rows, BadRow):
                yield self._failure(f"row {rows.number}", rows.reason)
            else:
                yield from self._read(rows, seen)

    def sought_images(self, rows: int) -> Iterator[tuple[str, bool]]:
        """Yields the paths of images that the first rows name, and whether each is there."""
        for number, cells in enumerate(self._survey.sample[:rows], 1):
            yield from self.images.sought([Row(number, "", cells)])

    def mapping(self) -> Iterator[str]:
        """Yields a line for each column: what it is taken for, with an example of a cell."""
        columns = self.columns
        for column in self._survey.columns:
            roles = [
                role
                for role, names in (
                    ("image", columns.images),
                    ("text", columns.texts),
                    ("id", (columns.id,)),
                    ("group", (columns.group,)),
                )
                if column in names
            ]
            if column in columns.metadata:
                roles.append(f"{columns.metadata[column]} ({columns.kinds[column].value})")
            cells = (as_text(row.get(column)) for row in self._survey.sample)
            example = next((cell for cell in cells if cell), None)
            shown = f", such as '{shortened(example)}'" if example else ""
            yield f"'{column}': {', '.join(roles) or 'not stored'}{shown}"

    def _read(self, rows: Sequence[Row], seen: dict[str, int]) -> Iterator[Record | Failure]:
        first = rows[0]
        try:
            identity = self._identity(first, seen)
            metadata = self._metadata(rows)
        except InputError as error:
            yield self._failure(f"row {first.number}", f"{error} ({first.place})")
            return
        try:
            vectors = self.vectors.of(rows[0]) if self.vectors is not None else {}
        except InputError as error:
            yield self._failure(identity, f"{error} ({rows[0].place})", stage="read")
            return
        whole, images = True, []
        for number, image in enumerate(self.images.of(rows), 1):
            if isinstance(image, ImageFile):
                images.append(image)
            elif "image" not in vectors:
                # The image need not be here if its vector is.
                whole = False
                part = identity if number == 1 else f"{identity}#image={number}"
                yield self._failure(part, f"{image} ({first.place})")
        text = join_texts(
            as_text(row.cells.get(name)) or "" for name in self.columns.texts for row in rows
        )
        if text and len(text.encode()) > self._options.max_text_bytes:
            whole = False
            yield self._failure(identity, f"{self._too_long(text)} ({first.place})", stage="read")
            text = None
        urls = self.images.urls(rows)
        if images or urls or text or vectors:
            yield Record(
                self._key(identity),
                images[0].uri if images else "",
                images[0].path if images else None,
                text,
                metadata,
                tuple(images[1:]),
                urls,
                image_vector=vectors.get("image"),
                text_vector=vectors.get("text"),
            )
        elif whole:
            yield self._failure(identity, f"has neither a picture nor a text ({first.place})")

    def _identity(self, row: Row, seen: dict[str, int]) -> str:
        """Returns the row's id, or its number in a table without ids. Raises InputError."""
        if self.columns.id is None:
            return str(row.number)
        identity = as_text(row.cells.get(self.columns.id))
        if identity is None:
            raise InputError(f"has no '{self.columns.id}'; give it one")
        first = seen.setdefault(identity, row.number)
        if first != row.number:
            raise InputError(
                f"'{self.columns.id}' is '{identity}' in row {first} and again in row "
                f"{row.number}; give it another"
            )
        return identity

    def _metadata(self, rows: Sequence[Row]) -> dict[str, Value]:
        """Returns the values of a row; of several rows the first one in each column."""
        metadata: dict[str, Value] = {}
        for column, name in self.columns.metadata.items():
            value = None
            for row in rows:
                try:
                    value = self.columns.value(column, row.cells.get(column))
                except ValueError as error:
                    raise InputError(
                        f"'{column}': {error}; the table has changed since it was opened, run again"
                    ) from error
                if value is not None:
                    break
            metadata[name] = value
        return metadata

    def _find_broken_ids(self, columns: Sequence[str], grouped: Sequence[str]) -> Mapping[str, str]:
        """Returns the guessed columns of ids that are none in the whole file, and why."""
        # A small table lies in the sample as a whole, by which they were guessed.
        if self.row_count <= SAMPLE_ROWS and not grouped:
            return {}
        broken = broken_ids(self._rows, columns, grouped=grouped)
        self._broken_ids.update(broken)
        return broken

    def _too_long(self, text: str) -> str:
        return (
            f"its text has {len(text.encode()):,} bytes, the limit is "
            f"{self._options.max_text_bytes:,}; raise max_text_bytes to read it"
        )

    def _failure(self, identity: str, reason: str, *, stage: Stage = "source") -> Failure:
        return Failure(self._key(identity), printable_path(self.root), stage, reason)

    def _key(self, identity: str) -> str:
        return f"{self.name}/{printable_path(identity)}"

    def _describe(self) -> Iterator[str]:
        file = printable_path(self._place.name)
        yield f"{file}: {self.columns.describe()}"
        if self.vectors is not None:
            yield f"{file}: {self.vectors.describe()}"
        yield from (f"{file}: {note}" for note in self._rows.notes)
        if not self._survey.rows:
            yield f"{file}: has no rows"
            return
        yield from (f"{file}: {note}" for note in self._survey.notes())
        yield from (f"{file}: {note}" for note in self._describe_images())
        if self._broken_ids and self._options.id_column is None:
            yield f"{file}: not taken for ids: {', '.join(self._broken_ids.values())}"
        if self.columns.separators:
            names = [self.columns.metadata[column] for column in self.columns.separators]
            yield f"{file}: lists: {', '.join(names)}; in filters has({names[0]}, 'value')"
        if self.columns.id is None:
            yield (
                f"{file}: no column of unique ids, so rows are identified by number; name one with "
                "`id_column` if rows may be inserted"
            )
        left_out = [
            f"'{name}'"
            for name in self._survey.columns
            if name not in self.columns.metadata
            and name not in (*self.columns.texts, *self.columns.images)
        ]
        if left_out:
            yield f"{file}: not stored, as empty, nested or too long: {', '.join(left_out)}"
        if self._options.include or self._options.exclude:
            yield f"{file}: `include` and `exclude` choose files in folders, not rows of a table"

    def _describe_images(self) -> Iterator[str]:
        roots, named = self.images.roots, self.images.named
        cells = cells_of_images(self._survey, self.columns.images)
        fetches = self._options.fetch
        if named is None and not fetches and any(map(is_url, cells)):
            yield "pictures that are URLs are not downloaded; `fetch=True` does so"
        if named is not None:
            where = relative_name(named.folder, self._place.parent)
            yield f"pictures are those in {where} that '{named.column}' names"
        elif roots.chosen not in (self._place.parent, roots.given):
            yield f"pictures are found in {relative_name(roots.chosen, self._place.parent)}"


def _without(found: Survey, columns: Collection[str]) -> Survey:
    return replace(
        found,
        columns=tuple(name for name in found.columns if name not in columns),
        kinds={name: kind for name, kind in found.kinds.items() if name not in columns},
        odd={name: cell for name, cell in found.odd.items() if name not in columns},
    )
