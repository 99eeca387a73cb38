"""Whole evaluations by a real, tiny model: as computed by hand from its vectors, and an index that
loses something."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score

import mmsearch
from mmsearch.encoders.base import Encoder
from mmsearch.encoders.registry import load_encoder
from mmsearch.errors import InputError, SpaceMismatch, StoreNotFound
from mmsearch.evaluation.index_loss import LiveStore, open_live
from mmsearch.evaluation.results import Evaluation
from mmsearch.evaluation.retrieval import curve_points
from mmsearch.evaluation.run import EvaluationOptions, evaluate
from mmsearch.fusion import LateFusion, shrunken_mean
from mmsearch.progress import NullProgress
from mmsearch.records import Floats, Modality
from mmsearch.sources import Source, SourceOptions, open_source

ITEMS = 24
KINDS = ("apple", "boot", "clock")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise pictures with captions; every fourth caption is said twice, one picture is torn."""
    folder = tmp_path_factory.mktemp("labelled")
    generator = np.random.default_rng(5)
    rows = ["id,image,title,kind"]
    for number in range(ITEMS):
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        kind = KINDS[number % 3]
        rows.append(f"{number},{number}.png,{kind} number {number - (number % 4 == 3)},{kind}")
    (folder / "torn.png").write_bytes((folder / "0.png").read_bytes()[:60])
    rows.append(f"torn,torn.png,{KINDS[0]} torn,{KINDS[0]}")
    (folder / "goods.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "goods.csv"


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return load_encoder(str(tiny_model), device="cpu")


def open_table(table: Path) -> Source:
    options = SourceOptions(image_column="image", text_columns=("title",), id_column="id")
    return open_source(table, name="goods", options=options)


@pytest.fixture(scope="module")
def evaluation(table: Path, encoder: Encoder) -> Evaluation:
    return evaluate(
        [open_table(table)],
        ["tiny", "again"],
        lambda name: encoder,
        EvaluationOptions(classes="kind", templates=("{}", "a {}"), batch_size=5),
        progress=NullProgress(),
    )


@pytest.fixture(scope="module")
def pictures(table: Path, encoder: Encoder) -> Floats:
    images = [Image.open(table.with_name(f"{number}.png")) for number in range(ITEMS)]
    return encoder.encode_images(images)


@pytest.mark.parametrize(
    ("captions", "says"),
    [
        (["a lamp"], "text → image, image → text: every candidate is relevant to every query"),
        (["a lamp", "a lamp", "a lamp"], "every candidate is relevant to every query"),
        (["a lamp", "a shoe"], "text → image, image → text: 2 queries or fewer prove little"),
    ],
)
def test_scores_that_prove_nothing_are_pointed_out(
    tmp_path: Path, encoder: Encoder, captions: list[str], says: str
) -> None:
    for number, caption in enumerate(captions):
        Image.new("RGB", (32, 32), (80 * number, 9, 9)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(caption)
    source = open_source(tmp_path, name="few", options=SourceOptions())
    found = evaluate(
        [source], ["tiny"], lambda name: encoder, EvaluationOptions(), progress=NullProgress()
    )
    assert says in found.notes[0]


def test_enough_queries_need_no_note(evaluation: Evaluation) -> None:
    assert not any("every candidate" in note for note in evaluation.notes)


def test_text_to_image_is_what_the_vectors_say(
    evaluation: Evaluation, encoder: Encoder, pictures: Floats
) -> None:
    captions = [f"{KINDS[n % 3]} number {n - (n % 4 == 3)}" for n in range(ITEMS)]
    distinct = list(dict.fromkeys(captions))
    firsts = []
    for text, vector in zip(distinct, encoder.encode_texts(distinct), strict=True):
        order = np.argsort(-(pictures @ vector))
        firsts.append(next(r for r, place in enumerate(order, 1) if captions[place] == text))
    scores = evaluation.models[0].retrieval[0]
    assert scores.direction == "text-to-image"
    assert (scores.queries, scores.candidates) == (len(distinct), ITEMS)
    assert scores.first_ranks.tolist() == firsts
    assert scores.metrics["recall@5"].value == pytest.approx(np.mean(np.array(firsts) <= 5))
    assert scores.metrics["median rank"].value == np.median(firsts)
    assert scores.hardest[0].rank == max(firsts)
    assert scores.curve[-1] == 1.0


def test_a_torn_picture_is_a_failure_and_its_text_a_candidate(evaluation: Evaluation) -> None:
    assert [failure.key for failure in evaluation.failures] == ["goods/torn"]
    by_direction = {scores.direction: scores for scores in evaluation.models[0].retrieval}
    assert (
        by_direction["image-to-text"].candidates
        == evaluation.texts
        == len({f"{n % 3} {n - (n % 4 == 3)}" for n in range(ITEMS)} | {"torn"})
    )
    assert by_direction["image-to-image"].queries == evaluation.images == ITEMS
    assert evaluation.items == ITEMS + 1


def test_zero_shot_is_the_nearest_mean_prompt(
    evaluation: Evaluation, encoder: Encoder, pictures: Floats
) -> None:
    prompts = encoder.encode_texts([t for kind in KINDS for t in (kind, f"a {kind}")])
    classes = prompts.reshape(3, 2, -1).mean(axis=1)
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    actual, named = np.arange(ITEMS) % 3, (pictures @ classes.T).argmax(axis=1)
    found = evaluation.models[0].classification
    assert found is not None
    assert found.metrics["accuracy"].value == pytest.approx(accuracy_score(actual, named))
    macro = f1_score(actual, named, average="macro", zero_division=0)
    assert found.metrics["macro F1"].value == pytest.approx(macro)
    assert found.confusion.sum() == found.images == ITEMS
    assert "top-5 accuracy" not in found.metrics


def test_products_are_fused_as_an_index_would(
    evaluation: Evaluation, encoder: Encoder, pictures: Floats
) -> None:
    captions = [f"{KINDS[n % 3]} number {n - (n % 4 == 3)}" for n in range(ITEMS)]
    texts = encoder.encode_texts([*captions, f"{KINDS[0]} torn"])
    # The torn picture's item is a product of its text alone, and has a part in the mean.
    images = np.concatenate([pictures, np.zeros_like(pictures[:1])])
    means: dict[Modality, Floats] = {
        "image": shrunken_mean(pictures.sum(axis=0), ITEMS),
        "text": shrunken_mean(texts.sum(axis=0), ITEMS + 1),
    }
    fusion = LateFusion(means)
    products = fusion.products(images, texts)
    kinds = np.array([*np.arange(ITEMS) % 3, 0])
    by_direction = {each.direction: each for each in evaluation.models[0].retrieval}
    likeness = products @ products.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = kinds[likeness.argmax(axis=1)] == kinds
    scores = by_direction["product-to-product"]
    assert (scores.queries, scores.candidates) == (ITEMS + 1, ITEMS + 1)
    assert scores.metrics["recall@1"].value == pytest.approx(nearest.mean())
    distinct = [captions.index(text) for text in dict.fromkeys(captions)] + [ITEMS]
    asked = fusion.centre(texts[distinct], "text") @ products.T
    every = np.array([*captions, f"{KINDS[0]} torn"])
    asked[every[distinct][:, None] == every[None, :]] = -np.inf
    found = kinds[asked.argmax(axis=1)] == kinds[distinct]
    assert by_direction["text-to-product"].metrics["recall@1"].value == pytest.approx(found.mean())


def test_a_model_does_not_differ_from_itself(evaluation: Evaluation) -> None:
    parts = {difference.part for difference in evaluation.differences}
    assert parts == {
        "text-to-image", "image-to-text", "image-to-image", "text-to-text", "text-to-product",
        "image-to-product", "product-to-product", "zero-shot",
    }  # fmt: skip
    assert all(d.model == "again" for d in evaluation.differences)
    assert {(d.value, d.low, d.high, d.p_value) for d in evaluation.differences} == {(0, 0, 0, 1)}


def test_blocks_change_nothing(
    table: Path, encoder: Encoder, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.evaluation.retrieval._BLOCK", 50)
    monkeypatch.setattr("mmsearch.evaluation.zero_shot._BLOCK", 7)
    again = evaluate(
        [open_table(table)],
        ["tiny"],
        lambda name: encoder,
        EvaluationOptions(classes="kind", templates=("{}", "a {}")),
        progress=NullProgress(),
    )
    for ours, theirs in zip(again.models[0].retrieval, evaluation.models[0].retrieval, strict=True):
        assert ours.first_ranks.tolist() == theirs.first_ranks.tolist()
    one, other = again.models[0].classification, evaluation.models[0].classification
    assert one is not None
    assert other is not None
    assert one.metrics == other.metrics


def test_curve_points_are_whole_and_end_where_the_candidates_do() -> None:
    assert curve_points(1) == [1]
    assert curve_points(4) == [1, 2, 3, 4]
    assert curve_points(10**6)[-1] == 1_000


@pytest.fixture(scope="module")
def store(table: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    catalog = mmsearch.open(folder, model=str(tiny_model), device="cpu", index="flat")
    catalog.index(table)
    return folder


def scored(table: Path, encoder: Encoder, live: LiveStore) -> Evaluation:
    options = EvaluationOptions()
    return evaluate(
        [open_table(table)],
        ["tiny"],
        lambda n: encoder,
        options,
        progress=NullProgress(),
        store=live,
    )


def test_an_exact_index_loses_nothing(table: Path, encoder: Encoder, store: Path) -> None:
    found = scored(table, encoder, open_live(store, device="cpu")).index
    assert {(each.query, each.target) for each in found} == {
        (query, target) for query in ("text", "image") for target in ("image", "text", "product")
    }
    for each in found:
        assert (each.recall_at_10.value, each.recall_at_10.low) == (1.0, 1.0)
        assert each.kind == "flat"
        assert each.exact == each.live
    itself = next(each for each in found if (each.query, each.target) == ("image", "image"))
    assert itself.exact is not None
    assert itself.exact.value == 1.0


def test_what_an_index_has_forgotten_is_its_loss(
    table: Path, encoder: Encoder, store: Path
) -> None:
    live = open_live(store, device="cpu")
    uids = live.store.uids()
    live.generation.index("image").remove(uids[::2])
    found = scored(table, encoder, live).index
    lossy = next(each for each in found if (each.query, each.target) == ("image", "image"))
    assert 0.2 < lossy.recall_at_10.value < 0.8
    assert lossy.live is not None
    assert lossy.live.value < 0.7
    assert next(e for e in found if e.target == "text").recall_at_10.value == 1.0


def test_a_store_of_another_model_is_refused(
    table: Path, store: Path, make_model: Callable[..., Path]
) -> None:
    other = load_encoder(str(make_model(embed_dim=16)), device="cpu")
    with pytest.raises(SpaceMismatch):
        scored(table, other, open_live(store, device="cpu"))


def test_a_catalog_measures_its_own_model_beside_others_and_its_index(
    table: Path, store: Path, tiny_model: Path, make_model: Callable[..., Path]
) -> None:
    other = str(make_model(embed_dim=16))
    catalog = mmsearch.open(store, device="cpu")
    # The store remembers its model, and how the source is read.
    found = catalog.evaluate(labels=EvaluationOptions(classes="kind"), compare=[other], index=True)
    assert [model.model for model in found.models] == [str(tiny_model), other]
    assert found.sources == [str(table)]
    assert {each.labelled_queries > 0 for each in found.index} == {True}
    assert {each.model for each in found.differences} == {other}
    again = catalog.evaluate(table, labels=EvaluationOptions(classes="kind"))
    assert again.index == []
    for ours, theirs in zip(again.models[0].retrieval, found.models[0].retrieval, strict=True):
        assert ours.metrics == theirs.metrics


def test_a_catalog_without_a_store_needs_a_location(tmp_path: Path, tiny_model: Path) -> None:
    catalog = mmsearch.open(tmp_path / "nowhere", model=str(tiny_model), device="cpu")
    with pytest.raises(InputError, match="nothing to evaluate; name a folder or a table"):
        catalog.evaluate()
    with pytest.raises(StoreNotFound):
        catalog.evaluate(tmp_path, index=True)
    assert not (tmp_path / "nowhere").exists()


def test_nothing_to_measure_is_said_before_a_model_is_loaded(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "alone.png")
    source = open_source(tmp_path, name="x", options=SourceOptions())

    def load(name: str) -> Encoder:
        raise AssertionError(f"loaded {name}")

    with pytest.raises(InputError, match="nothing to measure"):
        evaluate([source], ["tiny"], load, EvaluationOptions(), progress=NullProgress())


def test_no_picture_that_decodes_is_one_clear_error(tmp_path: Path, encoder: Encoder) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number]) * 50)
        (tmp_path / f"{number}.txt").write_text(f"picture {number}")
    source = open_source(tmp_path, name="x", options=SourceOptions())
    with pytest.raises(InputError, match="none of the pictures could be used"):
        evaluate([source], ["t"], lambda n: encoder, EvaluationOptions(), progress=NullProgress())
