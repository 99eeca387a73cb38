"""Writes mmsearch/encoders/clip_tokenizer.json: OpenCLIP's BPE for the package `tokenizers`.

python tools/build_clip_tokenizer.py
"""

import gzip
from importlib.resources import files
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

TARGET = Path(__file__).parents[1] / "mmsearch" / "encoders" / "clip_tokenizer.json"
# OpenCLIP's vocabulary: 256 bytes, the same ending a word, the merges, then two special tokens.
MERGES_FILE = "bpe_simple_vocab_16e6.txt.gz"
MERGES = 49152 - 256 - 2
START, END = "<start_of_text>", "<end_of_text>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def main() -> None:
    """Writes the file."""
    tokenizer().save(str(TARGET), pretty=False)


def tokenizer() -> Tokenizer:
    """Returns the tokenizer, without padding and truncation."""
    merges = open_clip_merges()
    letters = byte_letters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges), START, END]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", fuse_unk=False)
    )
    made.normalizer = normalizers.Sequence([])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.add_special_tokens([START, END])
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(token, vocabulary[token]) for token in (START, END)],
    )
    return made


def open_clip_merges() -> list[tuple[str, str]]:
    """Reads the merges of the installed open_clip, in order."""
    packed = files("open_clip").joinpath(MERGES_FILE).read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")
    return [(a, b) for a, b in (line.split() for line in lines[1 : MERGES + 1])]


def byte_letters() -> list[str]:
    """Returns GPT-2's printable letter of each byte, by rank in the vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [chr(256 + number) for number in range(256 - len(printable))]
    return [*map(chr, printable), *others]


if __name__ == "__main__":
    main()
