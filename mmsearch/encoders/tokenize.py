"""Tokenizes texts to the same ids as OpenCLIP's tokenizers, without torch.

Uses the `tokenizers` package, with a model's tokenizer.json or OpenCLIP's own BPE.
"""

import html
import json
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsearch.digests import sha256_of_bytes
from mmsearch.errors import InputError
from mmsearch.records import Ids

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as RustTokenizer

# Written by tools/build_clip_tokenizer.py.
_BPE_FILE = Path(__file__).with_name("clip_tokenizer.json")
_DEFAULT_CONTEXT = 77
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A batch of token ids.

    ids: int64 (n, context), padded. lengths: int64 (n,), tokens before truncation, with specials.
    """

    ids: Ids
    lengths: Ids


class Tokenizer:
    """Tokenizes texts. identity: changes whenever the same text may get other ids."""

    def __init__(
        self,
        rust: "RustTokenizer",
        *,
        context: int,
        pad_id: int,
        clean: Callable[[str], str],
        identity: str,
        dropped_id: int | None = None,
    ) -> None:
        """Wraps a tokenizer.

        dropped_id: a token that is zeroed after padding (OpenCLIP's `strip_sep_token`).
        """
        self.context, self.pad_id, self.identity = context, pad_id, identity
        self._rust, self._clean, self._dropped_id = rust, clean, dropped_id
        rust.no_padding()
        rust.enable_truncation(context)

    @classmethod
    def from_config(cls, text_cfg: Mapping[str, Any], file: Path | None) -> "Tokenizer":
        """Creates the tokenizer of an OpenCLIP `text_cfg`. Raises InputError.

        file: the model's tokenizer.json, None for OpenCLIP's own BPE.
        """
        context = int(text_cfg.get("context_length", _DEFAULT_CONTEXT))
        options = dict(text_cfg.get("tokenizer_kwargs") or {})
        unknown = sorted(set(options) - {"clean", "strip_sep_token"})
        if unknown or text_cfg.get("tokenizer_mode"):
            mode = text_cfg.get("tokenizer_mode")
            raise InputError(
                f"this model's tokenizer asks for {', '.join(unknown) or f'mode {mode!r}'}, "
                "which is not supported"
            )
        if file is None:
            return _open_clip_bpe(context, options)
        return _from_file(file, context, options)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokenizes texts, truncated to the context length."""
        encodings = self._rust.encode_batch([self._clean(text) for text in texts])
        ids = np.full((len(texts), self.context), self.pad_id, dtype=np.int64)
        for row, encoding in zip(ids, encodings, strict=True):
            row[: len(encoding.ids)] = encoding.ids
        if self._dropped_id is not None:
            ids[ids == self._dropped_id] = 0
        lengths = np.array([_full_length(e) for e in encodings], dtype=np.int64)
        return Tokens(ids, lengths)

    def lengths(self, texts: Sequence[str]) -> Ids:
        """Returns the number of tokens before truncation, with specials: int64 (n,)."""
        encodings = self._rust.encode_batch_fast([self._clean(text) for text in texts])
        return np.array([_full_length(e) for e in encodings], dtype=np.int64)

    def overlong(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts that are truncated to the context length."""
        return np.flatnonzero(self.lengths(texts) > self.context).tolist()

    def unknown(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts of which no token is known: they get one vector."""
        token = getattr(self._rust.model, "unk_token", None)
        unknown_id = self._rust.token_to_id(token) if token else None
        encodings = self._rust.encode_batch(
            [self._clean(text) for text in texts], add_special_tokens=False
        )
        return [place for place, e in enumerate(encodings) if set(e.ids) <= {unknown_id}]


def _full_length(encoding: "Encoding") -> int:
    """Returns the length before truncation; each overflowing piece repeats the special tokens."""
    pieces = [encoding, *encoding.overflowing]
    specials = sum(encoding.special_tokens_mask)
    return specials + sum(len(p.ids) - sum(p.special_tokens_mask) for p in pieces)


def _from_file(file: Path, context: int, options: Mapping[str, Any]) -> Tokenizer:
    from tokenizers import Tokenizer as RustTokenizer

    content = file.read_bytes()
    rust = RustTokenizer.from_str(content.decode("utf-8"))
    about = _read_json(file.parent / "tokenizer_config.json")
    if about.get("padding_side", "right") != "right":
        raise InputError(f"{file} pads on the left, which is not supported")
    pad_id = _special_id(rust, about, "pad_token")
    if pad_id is None:
        pad_id = (rust.padding or {}).get("pad_id", 0)
    clean = str(options.get("clean", "whitespace"))
    dropped_id = _special_id(rust, about, "sep_token") if options.get("strip_sep_token") else None
    identity = f"{sha256_of_bytes(content)} {clean} {context} {pad_id} {dropped_id}"
    return Tokenizer(
        rust,
        context=context,
        pad_id=pad_id,
        clean=_cleaner(clean),
        identity=identity,
        dropped_id=dropped_id,
    )


def _special_id(rust: "RustTokenizer", about: Mapping[str, Any], name: str) -> int | None:
    token = about.get(name)
    text = token.get("content") if isinstance(token, dict) else token
    return None if text is None else rust.token_to_id(text)


def _read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; {} if there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}


def _open_clip_bpe(context: int, options: Mapping[str, Any]) -> Tokenizer:
    from tokenizers import Tokenizer as RustTokenizer

    clean = str(options.get("clean", "lower"))
    return Tokenizer(
        RustTokenizer.from_str(_BPE_FILE.read_text(encoding="utf-8")),
        context=context,
        pad_id=0,
        clean=_cleaner(clean),
        identity=f"open_clip bpe {clean} {context}",
    )


def _cleaner(name: str) -> Callable[[str], str]:
    """Returns OpenCLIP's text cleaning function of that name."""
    known = {"lower": _lower, "whitespace": _plain, "canonicalize": _canonical}
    if name not in known:
        raise InputError(f"this model's tokenizer asks for cleaning {name!r}, which is unknown")
    return known[name]


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable() and "&" not in text:
        # Nothing to fix, so that usual queries do not need the import.
        return " ".join(text.split())
    import ftfy

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _lower(text: str) -> str:
    return _plain(text).lower()


def _canonical(text: str) -> str:
    return " ".join(_plain(text).replace("_", " ").translate(_NO_PUNCTUATION).lower().split())
