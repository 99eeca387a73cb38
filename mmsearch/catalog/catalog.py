"""The Catalog: each method opens what it needs and calls one function of a lower package."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.arrays import blocks
from mmsearch.catalog import duplicates, learning
from mmsearch.catalog.indexing import IndexRun, drop_source, index_sources
from mmsearch.catalog.info import StoreInfo, find_record, store_info
from mmsearch.catalog.opening import manifest_of, open_engine
from mmsearch.catalog.progress import Progress, listening
from mmsearch.catalog.resolve import Encoders, model_name
from mmsearch.catalog.results import Hits
from mmsearch.config import Settings
from mmsearch.deprecation import warn_renamed
from mmsearch.errors import MMSearchError, StoreNotFound
from mmsearch.media import ImageInput, MediaBounds, load_image
from mmsearch.progress import ProgressListener
from mmsearch.query import Fuse, Query, QueryParts, query_of, require_list
from mmsearch.records import (
    Failure,
    Floats,
    IngestReport,
    Record,
    Target,
    TargetChoice,
)
from mmsearch.sources import Source, SourceOptions
from mmsearch.store import Store
from mmsearch.store.filters import LIVE, quoted
from mmsearch.store.manifest import read_manifest
from mmsearch.store.spaces import live_folder

if TYPE_CHECKING:
    from typing import Unpack

    from mmsearch.dedup.actions.apply import Action, ApplyReport
    from mmsearch.dedup.actions.plan import PlanEntry
    from mmsearch.dedup.not_duplicates import RememberedSet
    from mmsearch.dedup.results import DedupReport, Tier
    from mmsearch.engine import Engine, Page
    from mmsearch.evaluation.results import Evaluation
    from mmsearch.evaluation.run import EvaluationOptions
    from mmsearch.export.vectors import Precision
    from mmsearch.finetuning.options import FinetuneOptions
    from mmsearch.finetuning.run import Finetuned, FinetunePlan
    from mmsearch.indexes import IndexMeta
    from mmsearch.promotion import Promotion, Rollback

# Images decoded and encoded at a time.
_IMAGES_AT_ONCE = 64


class Catalog:
    """A store and the models to search it with; make one with `mmsearch.open`.

    Behaves like a mapping from the keys of items to their records. Methods that take long have
    `progress`: True shows their stages on stderr, a `ProgressListener` receives them.

    >>> catalog
    Catalog('.../shop', model='builtin', sources=['products'])
    >>> len(catalog), "products/red-apple" in catalog
    (372, True)
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self.settings = settings
        self._engine: Engine | None = None
        self._encoders = Encoders(settings)

    @property
    def folder(self) -> Path:
        """The folder of the live space: the store's own, or one beside it after a promotion."""
        return live_folder(self.root)

    # --- items ---

    def __repr__(self) -> str:
        try:
            manifest = manifest_of(self.root)
        except MMSearchError as error:
            return f"Catalog({str(self.root)!r}, unusable: {type(error).__name__})"
        if manifest is None:
            return f"Catalog({str(self.root)!r}, not indexed yet)"
        sources = [entry.name for entry in manifest.sources]
        return f"Catalog({str(self.root)!r}, model={manifest.model!r}, sources={sources})"

    def __len__(self) -> int:
        """The number of items whose files are there; 0 before anything is indexed."""
        try:
            return len(self.engine.store)
        except StoreNotFound:
            return 0

    def __iter__(self) -> Iterator[str]:
        """The keys of all items, in no particular order."""
        try:
            return iter(self.engine.store.scan(["key"], LIVE).column("key").to_pylist())
        except StoreNotFound:
            return iter(())

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and self.engine.store.count(f"key = {quoted([key])}") > 0
        except StoreNotFound:
            return False

    def __getitem__(self, key: str) -> Record:
        """Returns the record with this key. Raises RecordNotFound, which is a KeyError.

        >>> catalog["products/red-apple"].metadata["price"]
        0.6
        """
        return find_record(self.engine.store, key)

    # --- search ---

    def search(
        self,
        text: str | None = None,
        *,
        image: ImageInput | None = None,
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
        parts: bool = False,
    ) -> Hits:
        """Returns the k items most similar to all that is given, best first.

        text: words to search for.
        image: a path, the file's content as bytes, a Pillow image, or a uint8 array of shape
        (height, width[, 3 or 4]); image_weight: its share when text is given too.
        like: key of an item of the store to search with; the item itself is left out. Of an item
        with several images or passages, 'KEY#image=2' or 'KEY#passage=3' searches with this alone.
        vector: float32 (dim,), an image embedding in the store's space.
        without: words to steer away from.
        keyword: words that must be matched literally (BM25), merged with the vector search.
        hybrid: use `text` as the keyword too.
        fuse: merge keyword and vector hits by rank ("rrf") or by score ("weighted");
        keyword_weight: the share of the keyword's score when weighted, 0 to 1.
        where: SQL condition over the columns that `info().columns` lists.
        target: which vectors to search: "image", "text", "product", or "auto".
        unique: leave out near-duplicates of better hits.
        diverse: lambda of maximal marginal relevance, from 0 (diversity) to 1 (relevance).
        threshold: lowest similarity of a hit, -1 to 1.
        after: `next` of the page before.
        parts: return each image and passage as a hit of its own, in the hit's `part`, not only the
        best one of each item.

        Raises StoreNotFound, BadQuery, BadFilter, RecordNotFound, UnreadableMedia, SpaceMismatch,
        MissingModel.

        >>> catalog.search("red apple", k=1)[0].key
        'products/red-apple'
        >>> cheap = catalog.search("fruit", where="category = 'food' AND price < 1", k=3)
        >>> all(hit.record["price"] < 1 for hit in cheap)
        True
        """
        query = query_of(
            text, image=image, image_weight=image_weight, like=like, vector=vector,
            without=without, keyword=keyword, hybrid=hybrid, fuse=fuse,
            keyword_weight=keyword_weight, where=where, k=k, target=target, unique=unique,
            diverse=diverse, threshold=threshold, after=after, parts=parts,
        )  # fmt: skip
        return self.query(query)

    def query(self, query: Query) -> Hits:
        """Like `search`, for a Query made of any number of weighted terms.

        >>> terms = (mmsearch.Term(text="fruit"), mmsearch.Term(text="apple", weight=-0.6))
        >>> len(catalog.query(mmsearch.Query(terms, k=3)))
        3
        """
        return self.search_many([query])[0]

    def search_many(
        self,
        queries: Sequence[Query | str],
        *,
        k: int = 10,
        where: str | None = None,
        target: TargetChoice = "auto",
    ) -> list[Hits]:
        """Returns the hits of each query; encoder and index are run in batches, which is faster.

        k, where, target: of the queries that are given as text, as in `search`.

        >>> [hits[0].record["title"] for hits in catalog.search_many(["guitar", "umbrella"], k=1)]
        ['Acoustic guitar', 'Rainbow umbrella']
        """
        require_list("queries", queries)
        asked = [
            query_of(query, k=k, where=where, target=target) if isinstance(query, str) else query
            for query in queries
        ]
        return [Hits(page.hits, next=page.next) for page in self.engine.pages(asked)]

    def page(self, text: str | None = None, **parts: "Unpack[QueryParts]") -> "Page":
        """Deprecated: `search` returns the cursor as `next` of its hits."""
        warn_renamed("catalog.page(...)", "catalog.search(...).next")
        query = query_of(text, **parts)
        return self.engine.page(query)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Returns the texts' embeddings in the catalog's space, float32 (n, dim), unit rows.

        A text that is longer than the model reads is cut. Raises MissingModel, InputError.

        >>> catalog.embed_texts(["red apple", "guitar"]).shape
        (2, 512)
        """
        require_list("texts", texts)
        return self._encoders.text(self._model()).encode_texts(list(texts))

    def embed_images(self, images: Sequence[ImageInput]) -> Floats:
        """Returns the images' embeddings in the catalog's space, float32 (n, dim), unit rows.

        images: paths, bytes, Pillow images or arrays, as in `search`. Raises UnreadableMedia,
        MediaTooLarge, MissingModel.

        >>> vectors = catalog.embed_images(["demo/images/red-apple.webp"])
        >>> catalog.search(vector=vectors[0], target="image", k=1)[0].key
        'products/red-apple'
        """
        import numpy as np

        require_list("images", images)
        encoder, bounds = self._encoders.full(self._model()), MediaBounds.of(self.settings)
        draft = (encoder.preprocessing.size, encoder.preprocessing.size)
        vectors = np.empty((len(images), encoder.space.dim), np.float32)
        for block in blocks(len(images), _IMAGES_AT_ONCE):
            decoded = [load_image(each, bounds=bounds, draft=draft) for each in images[block]]
            vectors[block] = encoder.encode_images(decoded)
        return vectors

    @property
    def engine(self) -> "Engine":
        """The engine over the store as it is now; opened once. Raises StoreNotFound."""
        if self._engine is None:
            self._engine = open_engine(self.root, self.settings, self._encoders)
        return self._engine

    def search_devices(self) -> Mapping[str, str]:
        """Returns what searched each target so far: 'cpu', the GPU's name, or why no GPU did.

        >>> catalog.search("red apple", k=1) and catalog.search_devices()["product"]
        'cpu'
        """
        live = self._engine.generation if self._engine else None
        return {str(target): device for target, device in live.devices.items()} if live else {}

    def reload(self) -> None:
        """Closes the store and the models; the next search opens its latest state.

        >>> catalog.reload()
        """
        self._engine = None
        self._encoders = Encoders(self.settings)

    def _model(self) -> str:
        return model_name(self.settings, manifest_of(self.root))

    # --- index ---

    def index(
        self,
        *locations: Path | str,
        options: SourceOptions | None = None,
        retry: bool = False,
        prune: bool = False,
        rebuild: bool = False,
        dry_run: bool = False,
        metadata: bool | None = None,
        position: bool | None = None,
        progress: Progress = None,
    ) -> IngestReport:
        """Brings the store up to date with these sources, or with all it knows if none is given.

        locations: folders or tables. Creates the store if there is none.
        options: how to read the sources. retry: read files again that failed before, and split
        texts that earlier versions cut.
        prune: remove items whose files are gone (`undo_prune` restores them).
        rebuild: build the vector indexes from scratch. dry_run: count changes, write nothing.
        metadata: read what images say of themselves (EXIF, XMP, IPTC), also of those that were
        indexed before, or leave it out; position: also where they were taken. Both are
        remembered by source; None: as remembered, at first metadata without position.
        Raises InputError, StoreLocked, SpaceMismatch, MissingModel.

        >>> report = catalog.index()
        >>> report.added, report.unchanged
        (0, 372)
        """
        run = IndexRun(
            options=options,
            retry=retry,
            prune=prune,
            rebuild=rebuild,
            dry_run=dry_run,
            metadata=metadata,
            position=position,
        )
        with listening(progress) as listener:
            report = index_sources(self.root, locations, run, self.settings, progress=listener)
        self.reload()
        return report

    def drop_source(self, name: str, *, progress: Progress = None) -> int:
        """Removes a whole source from the store; returns its number of items.

        `undo_prune` restores them. Raises RecordNotFound, StoreLocked.

        >>> catalog.drop_source("products")  # doctest: +SKIP
        372
        """
        with listening(progress) as listener:
            dropped = drop_source(self.root, name, self.settings, listener)
        self.reload()
        return dropped

    def undo_prune(self) -> int:
        """Restores what the last prune or drop removed, as missing until it is indexed again.

        Returns the number of items.

        >>> catalog.undo_prune()  # doctest: +SKIP
        372
        """
        store = Store.open(self.folder)
        with store.writing(timeout=self.settings.lock_timeout):
            restored = store.undo_prune()
        self.reload()
        return restored

    def info(self) -> StoreInfo:
        """Returns what is in the store. Raises StoreNotFound, CorruptIndex.

        >>> catalog.info().counts["items"]
        372
        """
        return store_info(self.root)

    def failures(self) -> list[Failure]:
        """Returns every item that was skipped, with stage, reason and when. Raises StoreNotFound.

        >>> catalog.failures()
        []
        """
        return [
            Failure(row["key"], row["uri"], row["stage"], row["reason"], seen=row["seen"])
            for row in Store.open(self.folder).failures()
        ]

    def indexes(self) -> "dict[Target, IndexMeta]":
        """Returns each live index's kind, why it was chosen, and its recall by effort.

        Raises StoreNotFound, CorruptIndex.

        >>> catalog.indexes()["product"].kind
        'flat'
        """
        from mmsearch.generations import live_generation

        folder = self.folder
        read_manifest(folder)
        generation = live_generation(folder)
        return generation.metas() if generation is not None else {}

    def verify(self) -> StoreInfo:
        """Checks table and index files against their checksums; returns `info()` if all is well.

        Raises StoreNotFound, CorruptIndex.

        >>> catalog.verify().index_behind
        False
        """
        from mmsearch.generations import live_generation

        generation = live_generation(self.folder)
        if generation is not None:
            generation.verify()
        return self.info()

    def export_vectors(
        self,
        path: Path | str,
        *,
        where: str | None = None,
        target: "Target | Sequence[Target] | None" = None,
        precision: "Precision" = "float32",
        position: bool = False,
        force: bool = False,
        progress: Progress = None,
    ) -> int:
        """Writes the vectors of the items to a file, with their records; returns how many.

        path: '.parquet', '.lance' (a dataset), or '.npy' of shape (n, dim) with the records in a
        '.jsonl' and the space in a '.json' beside it.
        where: SQL condition, as in `search`. target: "image", "text", "product" or several of them;
        None: those that the store has. precision: "float32" or "float16", which the store has.
        position: write latitude, longitude and altitude, too. force: replace a file that exists.
        Vectors are unit rows up to rounding to 16 bits. Raises StoreNotFound, InputError,
        BadFilter.

        >>> catalog.export_vectors("vectors.parquet", where="category = 'food'", target="image")
        41
        """
        from mmsearch.catalog.exporting import write_vectors
        from mmsearch.export import VectorExport

        options = VectorExport(
            targets=(target,) if isinstance(target, str) else target,
            where=where,
            precision=precision,
            position=position,
            force=force,
        )
        with listening(progress) as listener:
            return write_vectors(self.folder, Path(path), options, progress=listener)

    # --- duplicates ---

    def find_duplicates(
        self,
        *,
        tiers: "Sequence[Tier] | str | None" = None,
        where: str | None = None,
        across: tuple[str, str] | None = None,
        references: Sequence[Path | str] = (),
        within_folder: bool = False,
        keep: str | None = None,
        edited: float | None = None,
        similar: float | None = None,
        fpr: float | None = None,
        suspicions: bool = False,
        progress: Progress = None,
    ) -> "DedupReport":
        """Finds duplicate images and texts, grouped, with evidence; changes no file.

        tiers: which to look for, of "bytes", "pixels", "edited", "similar", "text-same" and
        "text-near", also as "bytes,pixels"; None: all but "similar".
        where: SQL condition, as in `search`.
        across: names of two sources that groups must span. references: folders whose items stay.
        within_folder: only pairs in one folder. keep: rules in order, separated by commas.
        edited, similar: thresholds from 0 to 1; None: calibrated. fpr: the false positive rate
        to calibrate for. suspicions: also list texts that are possibly on the wrong image.
        Raises StoreNotFound, BadFilter, InputError, RecordNotFound.

        >>> catalog.find_duplicates(tiers=["bytes", "text-same"]).duplicates
        0
        """
        from mmsearch.dedup.keep_rules import DEFAULT_RULES
        from mmsearch.dedup.options import DedupOptions, parse_tiers

        named = tiers if tiers is None or isinstance(tiers, str) else ",".join(tiers)
        options = DedupOptions(
            tiers=parse_tiers(named),
            where=where,
            across=across, references=tuple(Path(place) for place in references),
            within_folder=within_folder, keep=DEFAULT_RULES if keep is None else keep,
            edited=edited, similar=similar, fpr=fpr, suspicions=suspicions,
        )  # fmt: skip
        with listening(progress) as listener:
            return duplicates.find(self.folder, options, self.settings, listener)

    def plan(
        self, report: "DedupReport", *, versions: bool = False, path: Path | str | None = None
    ) -> "list[PlanEntry]":
        """Returns which files could go, each with the one that stays; changes no file.

        report: of `find_duplicates`. versions: also plan edited versions. path: a file to write
        the plan to, which `apply` and 'mmsearch dedup apply' read. Raises InputError.

        >>> catalog.plan(catalog.find_duplicates(tiers=["bytes"]))
        []
        """
        return duplicates.plan(self.folder, report, versions=versions, path=path)

    def apply(
        self,
        plan: "Sequence[PlanEntry] | Path | str",
        action: "Action",
        *,
        to: Path | str | None = None,
        references: Sequence[Path | str] = (),
    ) -> "ApplyReport":
        """Carries out a plan; every file is checked again just before, and `undo` reverses it.

        plan: of `plan`, or the path of its file. action: "hide" (from searches only), "move"
        (into the folder `to`), "hardlink", "symlink" or "trash". references: folders that are
        never touched. Raises InputError, StoreLocked.

        >>> plan = catalog.plan(catalog.find_duplicates(tiers=["bytes"]))
        >>> catalog.apply(plan, "move", to="aside").done
        ()
        """
        done = duplicates.apply(self.folder, plan, action, to=to, references=references)
        self.reload()
        return done

    def undo(self) -> "ApplyReport":
        """Reverses the last `apply`, also an interrupted one. Raises NotFound, StoreLocked.

        >>> catalog.undo().done  # doctest: +SKIP
        ('photos/copy.webp',)
        """
        from mmsearch.dedup.actions.apply import undo_last

        undone = undo_last(self.folder)
        self.reload()
        return undone

    def ignore_duplicates(self, *items: str) -> "RememberedSet":
        """Marks items as not duplicates of each other: they are never grouped together again.

        items: the id of a group in the last report, or the keys or paths of two or more items. The
        mark survives re-indexing and moved files. Raises InputError, RecordNotFound.

        >>> ignored = catalog.ignore_duplicates("products/acorn", "products/red-apple")
        >>> [item.key for item in ignored.items]
        ['products/acorn', 'products/red-apple']
        >>> catalog.unignore_duplicates(ignored.name)
        """
        return duplicates.ignore(self.folder, items)

    def unignore_duplicates(self, *items: str) -> None:
        """Takes back `ignore_duplicates`, for all items of a mark or for a pair of them.

        items: the name of a mark, or the keys or paths of two items. Raises InputError, NotFound
        where they are not ignored.

        >>> ignored = catalog.ignore_duplicates("products/acorn", "products/red-apple")
        >>> catalog.unignore_duplicates("products/acorn", "products/red-apple")
        """
        duplicates.unignore(self.folder, items)

    def ignored_duplicates(self) -> "list[RememberedSet]":
        """Returns the marks of `ignore_duplicates`, oldest first, each with name, time and items.

        >>> catalog.ignored_duplicates()
        []
        """
        from mmsearch.dedup.not_duplicates import read_remembered

        return read_remembered(self.folder)

    # --- models ---

    def evaluate(
        self,
        *locations: Path | str,
        labels: "EvaluationOptions | None" = None,
        compare: Sequence[str] = (),
        index: bool = False,
        options: SourceOptions | None = None,
        progress: Progress = None,
    ) -> "Evaluation":
        """Measures how well models find the right answers in labelled sources; writes nothing.

        locations: folders or tables; all of the store's if none is given. labels: columns, queries
        and prompts; its batch size and bounds are those of the settings. compare: names of further
        models. index: also measure the recall of the store's live index. options: how to read the
        locations. Raises InputError, StoreNotFound, SpaceMismatch, MissingModel.

        >>> evaluation = catalog.evaluate()  # doctest: +SKIP
        >>> evaluation.models[0].retrieval[0].metrics["recall@10"].value  # doctest: +SKIP
        0.86
        """
        with listening(progress) as listener:
            sources = learning.labelled_sources(
                self.root, locations, options, self.settings,
                purpose="evaluate", progress=listener, compare=compare,
            )  # fmt: skip
            return learning.evaluate_models(
                self.root, sources, labels, self.settings,
                compare=compare, index=index, progress=listener,
            )  # fmt: skip

    def finetune(
        self,
        *locations: Path | str,
        training: "FinetuneOptions | None" = None,
        options: SourceOptions | None = None,
        progress: Progress = None,
    ) -> "Finetuned | None":
        """Fine-tunes the catalog's model on these sources and writes it to a new folder.

        locations: folders or tables; all of the store's if none is given. training: its model and
        device are the catalog's own. options: how to read the locations. Under torchrun every
        process but the first gets None. The store stays as it is; `promote` moves it to the new
        model. Raises InputError, ConfigError, MissingModel, MissingDependency, Interrupted.

        >>> training = mmsearch.FinetuneOptions.of(classes="category", out=Path("tuned"))
        >>> catalog.finetune("demo", training=training).folder  # doctest: +SKIP
        PosixPath('tuned')
        """
        with listening(progress) as listener:
            sources, own = self._training(locations, training, options, listener)
            from mmsearch.finetuning.run import finetune

            return finetune(sources, own, bounds=MediaBounds.of(self.settings), progress=listener)

    def plan_finetune(
        self,
        *locations: Path | str,
        training: "FinetuneOptions | None" = None,
        options: SourceOptions | None = None,
        progress: Progress = None,
    ) -> "FinetunePlan":
        """Returns what `finetune` would do, and about how long it would take; writes nothing.

        >>> catalog.plan_finetune("demo").counts["items"]  # doctest: +SKIP
        372
        """
        with listening(progress) as listener:
            sources, own = self._training(locations, training, options, listener)
            from mmsearch.finetuning.run import plan

            return plan(sources, own, bounds=MediaBounds.of(self.settings), progress=listener)

    def _training(
        self,
        locations: Sequence[Path | str],
        training: "FinetuneOptions | None",
        options: SourceOptions | None,
        progress: ProgressListener,
    ) -> "tuple[list[Source], FinetuneOptions]":
        """The sources to fine-tune on, and the options with the catalog's model and device."""
        from mmsearch.finetuning.options import FinetuneOptions

        sources = learning.labelled_sources(
            self.root, locations, options, self.settings, purpose="fine-tune on", progress=progress
        )
        own = {"model": self._model(), "device": self.settings.device}
        return sources, (training or FinetuneOptions()).with_settings(**own)

    def promote(
        self,
        model: Path | str,
        *,
        force: bool = False,
        dry_run: bool = False,
        progress: Progress = None,
    ) -> "Promotion":
        """Embeds the whole store with another model, verifies it, and makes it the live one.

        model: a name as in `mmsearch.open`, or the folder of a fine-tuned model. force: also if
        its own measurements show a regression, or many files cannot be read. Searches meanwhile
        use the former model; `rollback` returns to it. Raises InputError, StoreLocked,
        StoreNotFound, MissingModel, CorruptIndex.

        >>> catalog.promote("tuned").items  # doctest: +SKIP
        372
        """
        from mmsearch.promotion import promote_store

        with listening(progress) as listener:
            done = promote_store(
                self.root, str(model), self.settings, listener, force=force, dry_run=dry_run
            )
        self.reload()
        return done

    def rollback(self, *, dry_run: bool = False) -> "Rollback":
        """Returns the store to the model before the last `promote`; called again, forward.

        Raises InputError where there is none, MissingModel, StoreLocked, CorruptIndex.

        >>> catalog.rollback().model  # doctest: +SKIP
        'builtin'
        """
        from mmsearch.promotion import rollback_store

        done = rollback_store(self.root, dry_run=dry_run)
        self.reload()
        return done
