"""Digests: they name files and contents that already exist, so they may never change."""

import hashlib
from pathlib import Path

from mmsearch.digests import (
    digest_of_bytes,
    digest_of_file,
    digest_of_json,
    digest_of_text,
    sha256_of_bytes,
    sha256_of_file,
)


def test_known_digests(tmp_path: Path) -> None:
    assert digest_of_text("pear") == hashlib.blake2b(b"pear", digest_size=16).hexdigest()
    assert digest_of_text("pear", size=8) == hashlib.blake2b(b"pear", digest_size=8).hexdigest()
    assert digest_of_json({"b": 1, "a": [2, "ä"]}) == digest_of_json({"a": [2, "ä"], "b": 1})
    assert digest_of_json(["a", 1]) == "215f544638f2193d"
    (tmp_path / "pear").write_bytes(b"pear")
    assert digest_of_file(tmp_path / "pear") == digest_of_bytes(b"pear")
    assert sha256_of_file(tmp_path / "pear") == hashlib.sha256(b"pear").hexdigest()
    assert sha256_of_bytes(b"pear") == hashlib.sha256(b"pear").hexdigest()


def test_a_lone_surrogate_has_a_digest() -> None:
    assert digest_of_text("\udcff") != digest_of_text("\udcfe")
