"""Training on products whose images and texts each show a part: fusions must find them better."""

import importlib

import numpy as np
import pytest
import torch

from mmsearch.arrays import unit
from mmsearch.errors import InputError
from mmsearch.finetuning.fusion.batches import FusionSampler
from mmsearch.finetuning.fusion.data import NO_ITEM, FusionData, FusionQueries
from mmsearch.finetuning.fusion.modules import AttentionModule, EarlyModule, FusionModule
from mmsearch.finetuning.fusion.scores import (
    IMAGE_ONLY,
    MISSING,
    TEXT_ONLY,
    fusion_table,
    rank_products,
    retrieval_score,
)
from mmsearch.finetuning.fusion.training import (
    FusionOptions,
    FusionRun,
    estimate_means,
    silent_directions,
    train_fusion,
    tune_late,
    validation_score,
)
from mmsearch.fusion import LateFusion, tokens
from mmsearch.records import Floats, Ids, Modality

DIM, PRODUCTS = 16, 24
QUICK = FusionOptions(steps=120, batch=256, look_every=20, early_rate=3e-3, attention_rate=3e-3)


def shop(seed: int, *, items: int = 5, products: int = PRODUCTS) -> FusionData:
    """Products of which an image shows the first half of the meaning and a text the second;
    the other half of each is mostly noise, which a projection can leave out and an average cannot.
    Each modality lies in its cone; all seeds share the products."""
    meaning = np.random.default_rng(0).normal(size=(products, DIM))
    random = np.random.default_rng(seed)
    half = np.arange(DIM) < DIM // 2

    def seen(groups: Ids, modality: Modality) -> Floats:
        sees = half == (modality == "image")
        signal = meaning[groups] * np.where(sees, 1.0, 0.5)
        noise = random.normal(size=signal.shape) * np.where(sees, 0.4, 1.2)
        cone = np.eye(DIM)[0 if modality == "image" else 1] * 3
        return unit((signal + noise + cone).astype(np.float32))

    groups = np.repeat(np.arange(products), items)
    images, texts = seen(groups, "image"), seen(groups, "text")
    products_meant = np.repeat(np.arange(products), 3)
    return FusionData(
        images,
        texts,
        groups,
        FusionQueries(
            seen(products_meant, "text"), products_meant, np.full(len(products_meant), NO_ITEM)
        ),
        FusionQueries(images, groups, np.arange(len(groups))),
    )


TRAIN, VAL = shop(1, items=30), shop(2)


@pytest.fixture(scope="module")
def run() -> FusionRun:
    return train_fusion("auto", TRAIN, VAL, options=QUICK)


def test_every_fusion_finds_products_better_than_one_modality(run: FusionRun) -> None:
    for missing in (0.0, MISSING):
        found = {
            name: run.table.score(name, missing=missing).metrics["MRR"].value
            for name in (IMAGE_ONLY, TEXT_ONLY, "late", "early", "attention")
        }
        assert min(found["late"], found["early"], found["attention"]) > found[IMAGE_ONLY], found
        assert min(found["late"], found["early"], found["attention"]) > found[TEXT_ONLY], found


def test_training_finds_more_than_the_average(run: FusionRun) -> None:
    assert run.val_scores["early"] > run.val_scores["late"]
    assert run.val_scores["attention"] > run.val_scores["late"]
    assert run.kind == max(run.val_scores, key=lambda kind: run.val_scores[kind])
    assert run.fusion is run.fusions[run.kind]
    unseen = fusion_table(run.fusions, shop(3))
    scores = {kind: unseen.score(kind).metrics["MRR"].value for kind in run.fusions}
    assert min(scores["early"], scores["attention"]) > scores["late"], scores


def test_the_table_is_complete(run: FusionRun) -> None:
    assert len(run.table.scores) == 2 * 5 * 3
    assert len(run.table.differences) == 2 * 3 * 2 * 2
    both = run.table.score("late")
    parts = [run.table.score("late", queries=kind) for kind in ("text", "image")]
    assert both.count == sum(part.count for part in parts) == 72 + 120
    for name, estimate in both.metrics.items():
        assert estimate.value == pytest.approx(np.mean([p.metrics[name].value for p in parts]))
        assert estimate.low < estimate.value < estimate.high
    gain = next(
        each
        for each in run.table.differences
        if (each.model, each.part, each.metric) == ("attention", IMAGE_ONLY, "MRR")
    )
    expected = run.table.score("attention").metrics["MRR"].value
    expected -= run.table.score(IMAGE_ONLY).metrics["MRR"].value
    assert gain.value == pytest.approx(expected)
    with pytest.raises(KeyError):
        run.table.score("middle")


def test_the_same_seed_gives_the_same_fusion(run: FusionRun) -> None:
    again = train_fusion("attention", TRAIN, VAL, options=QUICK)
    assert again.kind == "attention"
    for name, values in run.fusions["attention"].weights.items():
        np.testing.assert_allclose(values, again.fusion.weights[name], atol=1e-6)


def test_late_fusion_leans_on_the_modality_that_tells_more() -> None:
    means = estimate_means(TRAIN)
    nothing = np.random.default_rng(5).normal(size=VAL.texts.shape).astype(np.float32)
    blind = FusionData(
        VAL.images, unit(nothing), VAL.groups, VAL.text_queries.thinned(0), VAL.image_queries
    )
    tuned = tune_late(means, blind)
    assert tuned.image_weight > 0.7
    assert validation_score(tuned, blind) >= validation_score(LateFusion(means, 0.5), blind)


def test_items_that_cannot_be_found_come_last() -> None:
    fusion = LateFusion(estimate_means(VAL))
    products = fusion.products(VAL.images, VAL.texts)
    products[VAL.groups == 3] = 0
    ranking = rank_products(VAL, products, fusion, "text")
    assert ranking is not None
    firsts = ranking.first_ranks()
    # The five of them fill the last places.
    assert (firsts[9:12] == len(products) - 4).all()
    assert (np.delete(firsts, slice(9, 12)) <= len(products) - 5).all()


def test_scores_count_text_and_image_queries_equally() -> None:
    fusion = LateFusion(estimate_means(VAL))
    one = retrieval_score(fusion, VAL)
    rankings = [
        rank_products(VAL, fusion.products(VAL.images, VAL.texts), fusion, modality)
        for modality in ("text", "image")
    ]
    means = [ranking.reciprocal_ranks().mean() for ranking in rankings if ranking is not None]
    assert one == pytest.approx(sum(means) / 2)


@pytest.mark.parametrize("kind", ["early", "attention"])
def test_a_module_computes_what_its_numpy_fusion_does(kind: str) -> None:
    torch.manual_seed(0)
    module: FusionModule = (
        EarlyModule(DIM, 0.3)
        if kind == "early"
        else AttentionModule(0.3, 0.5 * torch.eye(2, DIM), torch.Generator().manual_seed(1))
    )
    late = LateFusion(estimate_means(TRAIN), 0.3)
    images, texts = VAL.images[:9].copy(), VAL.texts[:9].copy()
    images[2], texts[3] = 0, 0
    start = module.frozen(late.means)
    if kind == "early":
        np.testing.assert_allclose(
            start.products(images, texts), late.products(images, texts), atol=1e-5
        )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    image, text, has_image, has_text = tokens(images, texts, late.means)
    computed = module(
        torch.from_numpy(np.stack([image, text])),
        torch.from_numpy(np.stack([has_image, has_text])),
    )
    fused = module.frozen(late.means).products(images, texts)
    np.testing.assert_allclose(computed.detach().numpy(), fused, atol=1e-5)
    assert not np.allclose(fused, start.products(images, texts), atol=1e-2)


def test_nothing_lies_where_the_absent_are_placed() -> None:
    flat = FusionData(
        VAL.images * (np.arange(DIM) < DIM - 2).astype(np.float32),
        VAL.texts * (np.arange(DIM) < DIM - 2).astype(np.float32),
        VAL.groups,
        VAL.text_queries,
        VAL.image_queries,
    )
    late = LateFusion(estimate_means(flat))
    found = silent_directions(flat, late)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(late.centre(flat.images, "image") @ found.T, 0, atol=1e-5)
    np.testing.assert_allclose(late.centre(flat.texts, "text") @ found.T, 0, atol=1e-5)


def test_a_query_of_a_batch_is_never_the_items_own_image() -> None:
    sampler = FusionSampler(
        VAL, estimate_means(VAL), batch=100, text_dropout=0.3, image_dropout=0.2
    )
    rng = np.random.default_rng(0)
    lost = np.zeros(2)
    for _ in range(20):
        batch = sampler.draw(rng)
        assert batch.tokens.shape == (2, 100, DIM)
        assert batch.same.any(dim=1).all()
        assert not (batch.same & batch.own).any()
        assert batch.present.any(dim=0).all()
        zero = ~batch.tokens.any(dim=2)
        assert torch.equal(zero, ~batch.present)
        lost += zero.double().mean(dim=1).numpy() / 20
    np.testing.assert_allclose(lost, [0.2, 0.3], atol=0.05)


def test_vectors_of_two_encoders_are_refused() -> None:
    other = FusionData(
        VAL.images[:, :8],
        VAL.texts[:, :8],
        VAL.groups,
        FusionQueries(
            VAL.text_queries.vectors[:, :8], VAL.text_queries.groups, VAL.text_queries.own
        ),
        VAL.image_queries.thinned(0),
    )
    with pytest.raises(InputError, match="16-dim embeddings, val 8"):
        train_fusion("auto", TRAIN, other)


def test_the_old_name_of_the_module_still_works() -> None:
    old = importlib.import_module("mmsearch.finetuning.fusion_training")
    with pytest.warns(DeprecationWarning, match=r"mmsearch\.finetuning\.fusion\.training"):
        assert old.train_fusion is train_fusion
