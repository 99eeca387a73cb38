"""Digests as hexadecimal text: what names files, and tells contents and settings apart."""

import hashlib
import json
from pathlib import Path
from typing import Any

# Bytes of a digest that vouches for content, and of one that names a file in a cache.
CONTENT_BYTES = 16
NAME_BYTES = 8


def digest_of_bytes(content: bytes, *, size: int = CONTENT_BYTES) -> str:
    """Returns the BLAKE2b digest of `size` bytes."""
    return hashlib.blake2b(content, digest_size=size).hexdigest()


def digest_of_text(text: str, *, size: int = CONTENT_BYTES) -> str:
    """Returns the BLAKE2b digest of the text in UTF-8; lone surrogates are let through."""
    return digest_of_bytes(text.encode("utf-8", "surrogatepass"), size=size)


def digest_of_json(value: Any) -> str:
    """Returns a short digest of what JSON can hold, whatever the order of its keys."""
    return digest_of_text(json.dumps(value, sort_keys=True), size=NAME_BYTES)


def digest_of_file(path: Path) -> str:
    """Returns the BLAKE2b digest of a file of any size. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=CONTENT_BYTES))
    return digest.hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """Returns the SHA-256 digest, by which other tools know weights and tokenizers."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 digest of a file of any size. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
