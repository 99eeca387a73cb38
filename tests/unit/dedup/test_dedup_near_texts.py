"""Cached texts are not compared again, and the result does not change."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mmsearch.dedup.cache.database import NAME, CachedArrays, CacheDatabase
from mmsearch.dedup.tiers.near_texts import NearTexts, find_near_texts, jaccard, nearest_shares
from mmsearch.dedup.tiers.texts import normalised, says_something

BOILERPLATE = (
    "this product is sent within two working days and can be returned for free for thirty days "
    "our service answers all questions on the telephone and by mail from monday to saturday"
)


def catalog() -> list[str]:
    """240 texts that exceed the limit of one bucket, and 60 with other wording."""
    chance = np.random.default_rng(4)
    words = ["".join(chance.choice([*"abcdefghij"], 6)) for _ in range(120)]
    own = [" ".join(chance.choice(words, 12)) for _ in range(30)]
    reworded = [f"{text} {chance.choice(words)}" for text in own]
    return [f"{BOILERPLATE} {word} {number}" for number, word in enumerate(words * 2)] + [
        *own,
        *reworded,
    ]


def found(near: NearTexts) -> list[tuple[int, int, float]]:
    return [(*pair, share) for pair, share in zip(near.pairs.tolist(), near.shares, strict=True)]


def same(one: NearTexts, other: NearTexts) -> bool:
    return (
        one.digests == other.digests
        and found(one) == found(other)
        and bool((one.met == other.met).all())
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_remembers_finds_what_a_fresh_one_finds(tmp_path: Path, seed: int) -> None:
    """Texts are added, removed and reordered, with more of them than a bucket compares."""
    chance = np.random.default_rng(seed)
    every, memory = catalog(), CachedArrays(CacheDatabase(tmp_path), "texts")
    chosen = every[: chance.integers(150, 300)]
    for _ in range(5):
        near = find_near_texts(chosen, 0.7, NearTexts.load(memory, 0.7))
        assert same(near, find_near_texts(chosen, 0.7))
        near.save(memory, 0.7)
        kept = chance.permutation(len(chosen))[: chance.integers(len(chosen) // 2, len(chosen))]
        left = [chosen[row] for row in (np.sort(kept) if chance.random() < 0.5 else kept)]
        more = [text for text in every if text not in set(left)]
        chosen = left + more[: chance.integers(0, 80)]


def test_what_is_new_is_all_that_is_compared() -> None:
    texts = catalog()
    known = find_near_texts(texts[:-1], 0.7)
    # If known pairs were compared again, these similarities would be corrected.
    marked = NearTexts(known.digests, known.hashes, known.met, known.pairs, known.shares + 1)
    again = find_near_texts(texts, 0.7, marked)
    old = again.pairs[:, 1] < len(texts) - 1
    assert (again.shares[old] > 1).all()
    assert (again.shares[~old] <= 1).all()
    assert 0 < old.sum() < len(old)


def test_another_threshold_and_damage_forget_all(tmp_path: Path) -> None:
    memory = CachedArrays(CacheDatabase(tmp_path), "texts")
    near = find_near_texts(catalog(), 0.7)
    near.save(memory, 0.7)
    assert same(NearTexts.load(memory, 0.7), near)
    assert NearTexts.load(memory, 0.65).digests == ()
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes()[:-4096])
    assert NearTexts.load(memory, 0.7).digests == ()


@pytest.mark.parametrize("texts", [[], ["one text"], ["a", "b"]])
def test_few_texts_have_no_pairs(texts: Sequence[str]) -> None:
    near = find_near_texts(texts, 0.7)
    assert found(near) == []
    assert same(find_near_texts(texts, 0.7, near), near)


def test_the_nearest_shares_are_those_of_brute_force() -> None:
    texts = catalog()[-60:]
    asked = np.array([0, 7, 31, 59])
    best = dict.fromkeys(range(60), 0.0)
    for one, two in combinations(range(60), 2):
        share = jaccard(texts[one], texts[two])
        if 0.6 <= share < 0.95:
            best[one], best[two] = max(best[one], share), max(best[two], share)
    expected = [best[row] for row in asked.tolist()]
    assert max(expected) > 0.6
    np.testing.assert_allclose(nearest_shares(texts, asked, 0.6, 0.95), expected, atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "…!", "\ufc5e", "™", "a", " 7", "é", "\u0301", "_"])
def test_a_text_says_something_where_words_are_left_of_it(text: str) -> None:
    assert says_something(text) == bool(normalised(text))
