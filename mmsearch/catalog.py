"""The public API: `mmsearch.open(path)` returns a Catalog, which indexes, searches and evaluates.

The command line is a thin layer over this class.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mmsearch.config import Settings, find_upwards, read_settings
from mmsearch.errors import CorruptIndex, InputError, RecordNotFound
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener, Silent
from mmsearch.query import Fuse, Query, query_of
from mmsearch.records import (
    Floats,
    Hit,
    IngestReport,
    SpaceId,
    Target,
    TargetChoice,
    printable_path,
    real_path,
)
from mmsearch.sources import Source, SourceOptions, open_source
from mmsearch.sources.overlaps import overlap_notes
from mmsearch.store.lance import FOLDER_NAME, Store
from mmsearch.store.manifest import FILE_NAME, Manifest, SourceEntry, read_manifest
from mmsearch.store.spaces import live_folder

if TYPE_CHECKING:
    from mmsearch.encoders.base import Encoder, TextEncoder
    from mmsearch.encoders.devices import DeviceChoice
    from mmsearch.engine import Engine, Page
    from mmsearch.evaluation.run import EvaluationOptions
    from mmsearch.finetuning.options import FinetuneOptions
    from mmsearch.finetuning.run import Finetuned, FinetunePlan
    from mmsearch.fusion import Fusion
    from mmsearch.indexes import IndexMeta, IndexOptions
    from mmsearch.scores import Evaluation

DEFAULT_MODEL = "builtin"


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """A catalog about to be indexed: what the manifest keeps of it, and what was recognised."""

    entry: SourceEntry
    source: Source


class Catalog:
    """A store and the models to search it with. Make one with `mmsearch.open`."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self.settings = settings
        self._engine: Engine | None = None

    @property
    def folder(self) -> Path:
        """Of the live space: the store's own, or one beside it since a model was promoted."""
        return live_folder(self.root)

    # --- search ---

    def search(
        self,
        text: str | None = None,
        *,
        image: Path | str | None = None,
        image_weight: float = 0.5,
        like: str | None = None,
        vector: Floats | None = None,
        without: str | None = None,
        keyword: str | None = None,
        hybrid: bool = False,
        fuse: Fuse = "rrf",
        keyword_weight: float = 0.5,
        where: str | None = None,
        k: int = 10,
        target: TargetChoice = "auto",
        unique: bool = False,
        diverse: float | None = None,
        threshold: float | None = None,
        after: str | None = None,
    ) -> list[Hit]:
        """Returns the k items most similar to all that is given, best first.

        text: words to search for.
        image: an image file to search with; image_weight: its share when text is given too.
        like: key of an item of the store to search with; the item itself is left out.
        vector: float32 (dim,), an image embedding in the store's space.
        without: words to steer away from.
        keyword: words that must be matched literally (BM25), merged with the vector search.
        hybrid: use `text` as the keyword too.
        fuse: merge keyword and vector hits by rank ("rrf") or by score ("weighted");
        keyword_weight: the share of the keyword's score when weighted, 0 to 1.
        where: SQL condition over the columns that `info().columns` lists.
        k: number of hits.
        target: which vectors to search: "image", "text", "product", or "auto".
        unique: leave out near-duplicates of better hits.
        diverse: lambda of maximal marginal relevance, from 0 (diversity) to 1 (relevance).
        threshold: lowest similarity of a hit, -1 to 1.
        after: cursor of the previous page, see `page`.

        Raises StoreNotFound, BadQuery, BadFilter, RecordNotFound, UnreadableMedia, SpaceMismatch,
        MissingModel.
        """
        return self.query(
            query_of(
                text,
                image=image,
                image_weight=image_weight,
                like=like,
                vector=vector,
                without=without,
                keyword=keyword,
                hybrid=hybrid,
                fuse=fuse,
                keyword_weight=keyword_weight,
                where=where,
                k=k,
                target=target,
                unique=unique,
                diverse=diverse,
                threshold=threshold,
                after=after,
            )
        )

    def page(
        self,
        text: str | None = None,
        *,
        image: Path | str | None = None,
        image_weight: float = 0.5,
        like: str | None = None,
        vector: Floats | None = None,
        without: str | None = None,
        keyword: str | None = None,
        hybrid: bool = False,
        fuse: Fuse = "rrf",
        keyword_weight: float = 0.5,
        where: str | None = None,
        k: int = 10,
        target: TargetChoice = "auto",
        unique: bool = False,
        diverse: float | None = None,
        threshold: float | None = None,
        after: str | None = None,
    ) -> "Page":
        """Returns the same hits as `search`, and a cursor to pass as `after` for the next page."""
        return self.engine.page(
            query_of(
                text,
                image=image,
                image_weight=image_weight,
                like=like,
                vector=vector,
                without=without,
                keyword=keyword,
                hybrid=hybrid,
                fuse=fuse,
                keyword_weight=keyword_weight,
                where=where,
                k=k,
                target=target,
                unique=unique,
                diverse=diverse,
                threshold=threshold,
                after=after,
            )
        )

    def query(self, query: Query) -> list[Hit]:
        """Like `search`, for a Query made of any number of weighted terms."""
        return self.engine.search(query)

    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """The hits of each query; encoder and index are asked in batches, which is far quicker."""
        return self.engine.search_many(queries)

    @property
    def engine(self) -> "Engine":
        """The engine over the store as it is now; opened once. Raises StoreNotFound."""
        if self._engine is None:
            from mmsearch.engine import Engine
            from mmsearch.generations import live_generation

            on_gpu = not self.settings.device.startswith(("cpu", "mps"))
            # Asked for once: both are of one space, also while another goes live.
            folder = self.folder
            generation = live_generation(folder, on_gpu=on_gpu)
            snapshot = generation.snapshot() if generation is not None else None
            store = Store.open(folder, snapshot=snapshot)
            model = self.settings.model or store.manifest.model
            self._engine = Engine(
                store,
                generation=generation,
                encoder=lambda: self._load_encoder(model),
                text_encoder=lambda: self._load_text_encoder(model),
                bounds=MediaBounds.of(self.settings),
            )
        return self._engine

    def search_devices(self) -> Mapping[str, str]:
        """What searched each target so far: 'cpu', the GPU's name, or why a GPU did not."""
        live = self._engine.generation if self._engine else None
        return {str(target): device for target, device in live.devices.items()} if live else {}

    def reload(self) -> None:
        """Forgets what was opened; the next search sees the store's latest state."""
        self._engine = None

    # --- evaluate ---

    def evaluate(
        self,
        *locations: Path | str,
        labels: "EvaluationOptions | None" = None,
        compare: Sequence[str] = (),
        index: bool = False,
        options: SourceOptions | None = None,
        progress: ProgressListener | None = None,
    ) -> "Evaluation":
        """How well models find the right answers in labelled catalogs; nothing is written.

        locations: folders or tables; all that the store knows if none is given. labels: columns,
        queries and prompts; its batch size and bounds are those of the settings. compare: models to
        set beside the catalog's own. index: also measure what the store's live index loses.
        options: how to read the locations. Raises InputError, StoreNotFound, SpaceMismatch,
        MissingModel.
        """
        from mmsearch.encoders.devices import choose_device
        from mmsearch.evaluation.index_loss import open_live
        from mmsearch.evaluation.run import EvaluationOptions, evaluate

        listener, settings = progress or Silent(), self.settings
        live = open_live(self.folder, device=settings.device) if index else None
        manifest = self._manifest()
        if not locations and manifest is None:
            raise InputError("nothing to evaluate; name a folder or a table with labels")
        plans = self._plan_sources(locations, manifest, options)
        _say_notes(plans, listener, set())
        device = choose_device(settings.device)
        listener.note(f"encoding on {device.name} ({device.reason})")
        wanted = replace(
            labels or EvaluationOptions(),
            batch_size=settings.batch_size or device.batch_size,
            bounds=MediaBounds.of(settings),
        )
        own = settings.model or (manifest.model if manifest else DEFAULT_MODEL)
        return evaluate(
            [plan.source for plan in plans],
            [own, *compare],
            self._load_encoder,
            wanted,
            progress=listener,
            store=live,
            fuse=self._fusion_of,
        )

    def _fusion_of(self, model: str, space: SpaceId) -> "Fusion":
        """How products are made with this model: as set, else as it brings."""
        from mmsearch.fusion import choose_fusion

        return choose_fusion(
            "late" if self.settings.fusion == "late" else "auto",
            lambda: _brought_fusion(model, space),
            image_weight=self.settings.image_weight,
            dim=space.dim,
            model=model,
        )

    def finetune(
        self,
        *locations: Path | str,
        training: "FinetuneOptions | None" = None,
        options: SourceOptions | None = None,
        progress: ProgressListener | None = None,
    ) -> "Finetuned | None":
        """Makes the catalog's model better on these catalogs, and writes it as a new folder.

        locations: folders or tables; all that the store knows if none is given. training: its
        model and device are the catalog's own. options: how to read the locations. Under torchrun
        every process but the first gets None. The store itself stays as it is:
        `mmsearch.promotion.promote` moves it to the new model.
        Raises InputError, ConfigError, MissingModel, MissingDependency, Interrupted.
        """
        from mmsearch.finetuning.run import finetune

        listener = progress or Silent()
        sources, wanted = self._to_tune(locations, training, options, listener)
        return finetune(sources, wanted, bounds=MediaBounds.of(self.settings), progress=listener)

    def plan_finetune(
        self,
        *locations: Path | str,
        training: "FinetuneOptions | None" = None,
        options: SourceOptions | None = None,
        progress: ProgressListener | None = None,
    ) -> "FinetunePlan":
        """What `finetune` would do, and about how long it would take; writes nothing."""
        from mmsearch.finetuning.run import plan

        listener = progress or Silent()
        sources, wanted = self._to_tune(locations, training, options, listener)
        return plan(sources, wanted, bounds=MediaBounds.of(self.settings), progress=listener)

    def _to_tune(
        self,
        locations: Sequence[Path | str],
        training: "FinetuneOptions | None",
        options: SourceOptions | None,
        progress: ProgressListener,
    ) -> tuple[list[Source], "FinetuneOptions"]:
        from mmsearch.finetuning.options import FinetuneOptions

        manifest = self._manifest()
        if not locations and manifest is None:
            raise InputError("nothing to fine-tune on; name a folder or a table")
        plans = self._plan_sources(locations, manifest, options)
        _say_notes(plans, progress, set())
        own = self.settings.model or (manifest.model if manifest else DEFAULT_MODEL)
        wanted = (training or FinetuneOptions()).with_settings(
            model=own, device=self.settings.device
        )
        return [plan.source for plan in plans], wanted

    # --- index ---

    def index(
        self,
        *locations: Path | str,
        options: SourceOptions | None = None,
        retry: bool = False,
        prune: bool = False,
        rebuild: bool = False,
        dry_run: bool = False,
        progress: ProgressListener | None = None,
    ) -> IngestReport:
        """Brings the store up to date with these catalogs, or with all it knows if none is given.

        Creates the store if there is none. options: how to read the sources. retry: try again what
        failed before. prune: take out rows whose files are gone (`undo_prune` reverses it).
        rebuild: build the FAISS index anew. dry_run: count what would be done, write nothing.
        Raises InputError, StoreLocked, SpaceMismatch, MissingModel.
        """
        from mmsearch.ingest.run import Ingest, IngestOptions

        listener = progress or Silent()
        manifest = self._manifest()
        plans = self._plan_sources(locations, manifest, options)
        said = _say_notes(plans, listener, set())
        known = [*(manifest.sources if manifest else ()), *(plan.entry for plan in plans)]
        folders = {entry.name: real_path(entry.location) for entry in known}
        for note in overlap_notes(folders, {plan.entry.name for plan in plans}):
            listener.note(note)
        encoder, device = self._encoder_for(manifest, listener)
        with self._open_or_create(manifest, encoder, dry_run=dry_run) as store, store.writing():
            # A fusion that the model does not bring is told before anything is encoded.
            fusion = self._fusion_for(store.manifest, encoder.space)
            if self._index_wishes():
                counts = store.counts()
                self._require_room(store, max(counts["image"], counts["text"]))
            if not dry_run:
                store.update_manifest(**self._fusion_wishes())
                for plan in plans:
                    store.update_manifest(sources=store.manifest.with_source(plan.entry).sources)

            def take_wishes(vectors: int) -> None:
                self._require_room(store, vectors)
                if not dry_run:
                    # Only now: the next run must not be refused what this one was.
                    store.update_manifest(**self._index_wishes())

            ingest = Ingest(
                store,
                encoder,
                self.settings,
                progress=listener,
                device=device,
                require_room=take_wishes,
            )
            report = ingest.run(
                [plan.source for plan in plans],
                IngestOptions(retry=retry, prune=prune, dry_run=dry_run),
            )
            # What was left out of a folder is known only once it has been walked.
            _say_notes(plans, listener, said)
            if not dry_run:
                self._refresh_generation(store, fusion, rebuild=rebuild, progress=listener)
        self.reload()
        return report

    def drop_source(self, name: str, *, progress: ProgressListener | None = None) -> int:
        """Takes a whole source out of the store and returns its count; `undo_prune` reverses it."""
        store = Store.open(self.folder)
        with store.writing():
            names = [entry.name for entry in store.manifest.sources]
            if name not in names:
                raise RecordNotFound(f"no source '{name}'; there are: {', '.join(names) or 'none'}")
            store.mark_source_missing(name)
            dropped = store.prune(name)
            kept = tuple(entry for entry in store.manifest.sources if entry.name != name)
            store.update_manifest(sources=kept)
            self._refresh_generation(store, None, rebuild=False, progress=progress or Silent())
        self.reload()
        return dropped

    def undo_prune(self) -> int:
        """Brings back what the last prune or drop took out, as missing until indexed again."""
        store = Store.open(self.folder)
        with store.writing():
            return store.undo_prune()

    def build_generation(self, space: Path, progress: ProgressListener) -> None:
        """Builds the indexes of a space that is not live yet, for its own model."""
        own = Catalog(space, self.settings.model_copy(update={"model": None}))
        own._refresh_generation(Store.open(space), None, rebuild=True, progress=progress)

    def _refresh_generation(
        self, store: Store, fusion: "Fusion | None", *, rebuild: bool, progress: ProgressListener
    ) -> None:
        """fusion: of the products, as the model brings it; that of the live index if None."""
        from mmsearch.generations import is_fused_by, live_generation, refresh_generation

        try:
            live = None if rebuild else live_generation(store.folder)
            if live is not None:
                live.check()
        except CorruptIndex as error:
            progress.note(f"building the index again: {error}")
            live = None
        if live is None and fusion is None:
            fusion = self._fusion_for(store.manifest, store.manifest.space)
        options = self._index_options(store)
        if live is not None and live.info.options != options:
            progress.note("the index is built anew: another kind, recall or memory is asked for")
        elif live is not None and live.info.lance_version == store.version:
            if is_fused_by(live.info, fusion):
                return
            progress.note("products are made anew: the fusion is another one now")
        store.tidy()
        refresh_generation(store, live.info if live else None, options, progress, fusion=fusion)

    def _plan_sources(
        self,
        locations: Sequence[Path | str],
        manifest: Manifest | None,
        options: SourceOptions | None,
    ) -> list[SourcePlan]:
        known = manifest.sources if manifest else ()
        if not locations:
            if not known:
                raise InputError(
                    "nothing to index; name a folder or a table: mmsearch index FOLDER"
                )
            return [self._plan_known(entry) for entry in known]
        plans: list[SourcePlan] = []
        for location in locations:
            place = Path(location).absolute()
            taken = [*known, *(plan.entry for plan in plans)]
            entry = next((e for e in known if e.location == printable_path(place)), None)
            name = entry.name if entry else unused_name(place, [e.name for e in taken])
            chosen = options or (restored_options(entry.options) if entry else None)
            chosen = chosen or SourceOptions()
            source = open_source(place, name=name, options=self._bounded(chosen))
            plans.append(
                SourcePlan(SourceEntry(name, printable_path(place), kept_options(chosen)), source)
            )
        return plans

    def _plan_known(self, entry: SourceEntry) -> SourcePlan:
        options = self._bounded(restored_options(entry.options))
        source = open_source(real_path(entry.location), name=entry.name, options=options)
        return SourcePlan(entry, source)

    def _bounded(self, options: SourceOptions) -> SourceOptions:
        return replace(options, max_text_bytes=self.settings.max_text_bytes)

    # --- models ---

    def _encoder_for(
        self, manifest: Manifest | None, progress: ProgressListener
    ) -> tuple["Encoder", "DeviceChoice"]:
        from mmsearch.encoders.devices import choose_device

        model = self.settings.model or (manifest.model if manifest else DEFAULT_MODEL)
        device = choose_device(self.settings.device)
        progress.note(f"encoding with '{model}' on {device.name} ({device.reason})")
        return self._load_encoder(model), device

    def _load_encoder(self, model: str) -> "Encoder":
        from mmsearch.encoders.registry import load_encoder

        settings = self.settings
        return load_encoder(model, device=settings.device, batch_size=settings.batch_size)

    def _load_text_encoder(self, model: str) -> "TextEncoder":
        from mmsearch.encoders.registry import load_text_encoder

        return load_text_encoder(model, device=self.settings.device)

    def _fusion_for(self, manifest: Manifest, space: SpaceId) -> "Fusion":
        """How products are made: as asked for now, else as the store remembers.

        Raises InputError, SpaceMismatch.
        """
        from mmsearch.fusion import choose_fusion

        model = self.settings.model or manifest.model
        wanted = replace(manifest, **self._fusion_wishes())
        return choose_fusion(
            wanted.fusion,
            lambda: _brought_fusion(model, space),
            image_weight=wanted.image_weight,
            dim=space.dim,
            model=model,
        )

    def _fusion_wishes(self) -> dict[str, Any]:
        """What was set for this run; the store's manifest keeps it for the next ones."""
        given = {"fusion": self.settings.fusion, "image_weight": self.settings.image_weight}
        return {name: value for name, value in given.items() if value is not None}

    def _index_wishes(self) -> dict[str, Any]:
        """What was set for this run; the store's manifest keeps it for the next ones."""
        settings = self.settings
        given = {"index": settings.index, "recall": settings.recall, "memory": settings.memory}
        return {name: value for name, value in given.items() if value is not None}

    def _index_options(self, store: Store) -> "IndexOptions":
        """What is asked for now, else what the store remembers."""
        from mmsearch.indexes import IndexKind, IndexOptions

        wanted = replace(store.manifest, **self._index_wishes())
        return IndexOptions(cast(IndexKind, wanted.index), wanted.recall, wanted.memory or None)

    def _require_room(self, store: Store, vectors: int) -> None:
        """Raises InputError where an index of so many would not fit in the memory allowed."""
        from mmsearch.indexes import choose

        choose(vectors, store.dim, self._index_options(store))

    # --- the store ---

    def _manifest(self) -> Manifest | None:
        return read_manifest(self.folder) if (self.folder / FILE_NAME).exists() else None

    @contextmanager
    def _open_or_create(
        self, manifest: Manifest | None, encoder: "Encoder", *, dry_run: bool
    ) -> Iterator[Store]:
        if manifest is not None:
            yield Store.open(self.folder)
            return
        model = self.settings.model or DEFAULT_MODEL
        new = Manifest(model, encoder.space)
        if dry_run:
            with tempfile.TemporaryDirectory() as nowhere:
                yield Store.create(Path(nowhere), new)
        else:
            yield Store.create(self.folder, new)

    def failures(self) -> list[dict[str, Any]]:
        """The ledger: every skipped item with key, uri, stage, reason and when it was seen."""
        return [
            {name: value for name, value in row.items() if not name.startswith("_")}
            for row in Store.open(self.folder).failures()
        ]

    def verify(self) -> "StoreInfo":
        """Reads the table and every index file against its checksum; what `info` gives if all is
        well. Raises StoreNotFound, CorruptIndex.
        """
        from mmsearch.generations import live_generation

        generation = live_generation(self.folder)
        if generation is not None:
            generation.verify()
        return self.info()

    def indexes(self) -> "dict[Target, IndexMeta]":
        """By target: the live index's kind, why it was chosen, and recall at each effort tried.

        Raises StoreNotFound, CorruptIndex.
        """
        from mmsearch.generations import live_generation

        read_manifest(self.folder)
        generation = live_generation(self.folder)
        return generation.metas() if generation is not None else {}

    def info(self) -> "StoreInfo":
        """What is in the store. Raises StoreNotFound, CorruptIndex."""
        from mmsearch.generations import folder_size, live_generation

        folder = self.folder
        generation = live_generation(folder)
        store = Store.open(folder)
        manifest = store.manifest
        return StoreInfo(
            folder=printable_path(self.root),
            model=manifest.model,
            space=asdict(manifest.space),
            counts=store.counts(),
            sources=tuple(
                {"name": e.name, "location": e.location, "items": store.count_source(e.name)}
                for e in manifest.sources
            ),
            columns={name: str(kind) for name, kind in store.column_types().items()},
            indexes={str(t): d for t, d in generation.describe().items()} if generation else {},
            fusion=generation.describe_fusion() if generation else None,
            index_behind=generation is not None and generation.info.lance_version != store.version,
            bytes=folder_size(self.root),
            free_bytes=shutil.disk_usage(self.root).free,
            last_run=manifest.last_run,
            interrupted=manifest.running is not None,
        )


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What `mmsearch info` shows. counts: rows by modality; indexes: kind, count, bytes by target.
    fusion: the kind that products are made with, and late fusion's weight; None before an index.
    index_behind: rows were written since the index was built (they are searched exactly).
    """

    folder: str
    model: str
    space: Mapping[str, Any]
    counts: Mapping[str, int]
    sources: tuple[Mapping[str, Any], ...]
    columns: Mapping[str, str]
    indexes: Mapping[str, Mapping[str, Any]]
    fusion: Mapping[str, Any] | None
    index_behind: bool
    bytes: int
    free_bytes: int
    last_run: Mapping[str, Any] | None
    interrupted: bool


def open_catalog(path: Path | str | None = None, **flags: object) -> Catalog:
    """A Catalog over the store at `path`, or over the nearest '.mmsearch' upwards.

    path: a store's folder or the folder that holds its '.mmsearch'; it need not exist until
    something is indexed. flags: any field of `mmsearch.config.Settings`. Raises ConfigError.
    """
    settings = read_settings(**flags)
    given = Path(path) if path is not None else settings.store
    if given is not None:
        nested = given / FOLDER_NAME
        return Catalog(nested if (nested / FILE_NAME).exists() else given, settings)
    found = find_upwards(FOLDER_NAME)
    return Catalog(found or Path.cwd() / FOLDER_NAME, settings)


def _say_notes(plans: Sequence[SourcePlan], listener: ProgressListener, said: set[str]) -> set[str]:
    notes = [f"{plan.entry.name}: {note}" for plan in plans for note in plan.source.notes]
    for note in notes:
        if note not in said:
            listener.note(note)
    return said | set(notes)


def _brought_fusion(model: str, space: SpaceId) -> "Fusion | None":
    """Raises SpaceMismatch, InputError."""
    from mmsearch.encoders.registry import fusion_folder
    from mmsearch.fusion import load_fusion

    folder = fusion_folder(model)
    return load_fusion(folder, space) if folder is not None else None


def unused_name(place: Path, taken: Sequence[str]) -> str:
    """A source's name from its file or folder name: 'catalog', then 'catalog-2'."""
    base = printable_path(place.stem if place.is_file() else place.name).replace("/", "-") or "root"
    names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def kept_options(options: SourceOptions) -> dict[str, Any]:
    """The options as the manifest keeps them: bounds are settings of the run, not of the source."""
    return {name: value for name, value in asdict(options).items() if name != "max_text_bytes"}


def restored_options(kept: Mapping[str, Any]) -> SourceOptions:
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in kept.items()}
    return SourceOptions(**values)
