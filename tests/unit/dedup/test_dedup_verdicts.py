"""Verdicts are cached by the contents of two images, as long as both exist."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsearch.dedup.cache.alignment_cache import HashPair, Verdict, Verdicts
from mmsearch.dedup.cache.database import CacheDatabase

names = st.text("0123456789abcdef", min_size=1, max_size=32)
verdicts = st.dictionaries(
    st.tuples(names, names).filter(lambda pair: pair[0] < pair[1]),
    st.builds(Verdict, st.floats(0, 1, width=32), st.integers(0, 7)),
    max_size=8,
)


@given(verdicts, st.sets(names, max_size=8))
def test_verdicts_come_back_while_both_pictures_are_there(
    tmp_path_factory: pytest.TempPathFactory, said: dict[HashPair, Verdict], others: set[str]
) -> None:
    database = CacheDatabase(tmp_path_factory.mktemp("verdicts"))
    present = others | {name for pair in list(said)[::2] for name in pair}
    kept = Verdicts(database)
    kept.add(said)
    kept.save(present)
    again = Verdicts(database)
    for pair, verdict in said.items():
        assert again.get(pair) == (verdict if set(pair) <= present else None)


def test_a_run_over_some_of_the_pictures_forgets_none(tmp_path: Path) -> None:
    first = Verdicts(CacheDatabase(tmp_path))
    first.add({("a", "b"): Verdict(0.75, 3)})
    first.save({"a", "b"})
    narrowed = Verdicts(CacheDatabase(tmp_path))
    narrowed.add({("c", "d"): Verdict(0.25, 0)})
    narrowed.save(None)
    again = Verdicts(CacheDatabase(tmp_path))
    assert again.get(("a", "b")) == Verdict(0.75, 3)
    assert again.get(("c", "d")) == Verdict(0.25, 0)


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    known = Verdicts(CacheDatabase(tmp_path))
    known.add({("a", "b"): Verdict(0.75, 3)})
    known.save(None)
    Verdicts(CacheDatabase(tmp_path)).save(set())
    assert Verdicts(CacheDatabase(tmp_path)).get(("a", "b")) == Verdict(0.75, 3)
