"""A small WordPiece tokenizer, pruned from the sentence encoder's, that open_clip can load.

Ids: [PAD] is 0, [UNK] 1, [CLS] 2 starts a text, then come the word pieces, and [SEP] ends a text
with the highest id of all, because open_clip's 'argmax' pooling reads the position of that id.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmsearch.extras import package_folder
from mmsearch.files import write_atomically

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
PAD_ID, UNKNOWN_ID, START_ID = 0, 1, 2


def prune(package: str, texts: Iterable[str], *, size: int, context: int) -> "Tokenizer":
    """Prunes the tokenizer in `package` to the `size` most frequent pieces of `texts`.

    All single characters stay, so that any Latin word can still be spelled.
    """
    from tokenizers import Tokenizer

    full = Tokenizer.from_file(str(package_folder(package) / "model" / "tokenizer.json"))
    full.no_padding()
    full.no_truncation()
    counts: Counter[str] = Counter()
    for encoding in full.encode_batch(list(texts), add_special_tokens=False):
        counts.update(encoding.tokens)
    order = full.get_vocab()
    characters = [t for t in order if len(t.removeprefix("##")) == 1 and t.isascii()]
    ranked = sorted(counts, key=lambda t: (-counts[t], order[t]))
    chosen = dict.fromkeys([*sorted(characters), *ranked])
    for special in (PAD, UNKNOWN, START, END):
        chosen.pop(special, None)
    return build([PAD, UNKNOWN, START, *list(chosen)[: size - 4], END], context=context)


def learn(texts: Iterable[str], *, size: int, context: int) -> "Tokenizer":
    """Learns a vocabulary from the texts, where there is no sentence encoder to take one from."""
    from tokenizers.trainers import WordPieceTrainer

    draft = build([PAD, UNKNOWN, START, END], context=context)
    special = [PAD, UNKNOWN, START]
    draft.train_from_iterator(
        texts, WordPieceTrainer(vocab_size=size - 1, special_tokens=special, show_progress=False)
    )
    pieces = sorted(draft.get_vocab().items(), key=lambda item: item[1])
    named = [piece for piece, _ in pieces if piece not in {*special, END}]
    return build([*special, *named, END], context=context)


def read(file: Path) -> "Tokenizer":
    """Reads a tokenizer.json."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def build(pieces: list[str], *, context: int) -> "Tokenizer":
    """Builds a lower-casing WordPiece tokenizer; ids follow the order of `pieces`."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=60))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    tokenizer.add_special_tokens([PAD, UNKNOWN, START, END])
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(pad_id=ids[PAD], pad_token=PAD, length=context)
    return tokenizer


def token_ids(tokenizer: "Tokenizer", texts: list[str]) -> NDArray[np.int64]:
    """Tokenizes texts: int64 (n, context), padded with zeros."""
    return np.array([e.ids for e in tokenizer.encode_batch(texts)], dtype=np.int64)


def save(tokenizer: "Tokenizer", folder: Path, *, context: int) -> list[Path]:
    """Writes tokenizer.json, and the file by which transformers recognises it; returns both."""
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "padding_side": "right",
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "cls_token": START,
        "sep_token": END,
    }
    contents = {
        FILE: tokenizer.to_str(),
        "tokenizer_config.json": json.dumps(about, indent=2) + "\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
