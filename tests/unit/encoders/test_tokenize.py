"""Token ids are those of OpenCLIP's own tokenizers, which these tests load beside ours."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers, processors

from mmsearch.encoders.tokenize import Tokenizer
from mmsearch.errors import InputError

TEXTS = [
    "a red apple",
    "",
    "  many \t\n spaces ",
    "Don't SHOUT; it's 12.5% off & more_or_less",
    "caf\u00e9 &amp;amp; na\u00efve \ufb01sh \u201cquoted\u201d",
    "日本語 🍎🐕‍🦺",
    "schÃ¶n",
    "<start_of_text> hello <end_of_text>",
    "x" * 500,
    "word " * 500,
]


@pytest.fixture(scope="module")
def own_bpe() -> Tokenizer:
    return Tokenizer.from_config({}, None)


# The two libraries know different versions of Unicode, so its newest letters are left aside.
settled = st.characters(max_codepoint=0x1F9FF, exclude_categories=("Cs", "Cn"))


class TestOwnBpe:
    def test_ids_are_open_clips(self, own_bpe: Tokenizer) -> None:
        np.testing.assert_array_equal(own_bpe(TEXTS).ids, open_clip.tokenize(TEXTS).numpy())

    @settings(max_examples=200, deadline=None)
    @given(text=st.text(settled, max_size=60))
    def test_ids_are_open_clips_for_any_text(self, own_bpe: Tokenizer, text: str) -> None:
        np.testing.assert_array_equal(own_bpe([text]).ids, open_clip.tokenize([text]).numpy())

    @pytest.mark.parametrize("clean", ["lower", "whitespace", "canonicalize"])
    def test_cleaning_is_open_clips(self, clean: str) -> None:
        ours = Tokenizer.from_config({"tokenizer_kwargs": {"clean": clean}}, None)
        theirs = open_clip.SimpleTokenizer(clean=clean)
        np.testing.assert_array_equal(ours(TEXTS).ids, theirs(TEXTS).numpy())

    def test_lengths_count_what_was_cut(self, own_bpe: Tokenizer) -> None:
        lengths = own_bpe(["a red apple", "word " * 500]).lengths
        assert lengths.tolist() == [5, 502]

    def test_only_texts_beyond_the_context_are_overlong(self) -> None:
        tokenizer = Tokenizer.from_config({"context_length": 5}, None)
        assert tokenizer.overlong(["a red apple", "a very red apple", "", "a b c d e f"]) == [1, 3]


def wordpiece(folder: Path, **about: Any) -> Path:
    """A lower-case vocabulary of letters and a few words, saved as transformers saves one."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,'&;%"
    pieces = ["[PAD]", "[UNK]", "[CLS]", *letters, *(f"##{letter}" for letter in letters)]
    pieces += ["red", "apple", "word", "##ing", "[SEP]"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    rust = RustTokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    rust.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    rust.save(str(folder / "tokenizer.json"))
    tokens = {"pad_token": "[PAD]", "unk_token": "[UNK]", "sep_token": "[SEP]"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **tokens, **about}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder / "tokenizer.json"


class TestFile:
    @pytest.mark.parametrize(
        "options",
        [{}, {"clean": "lower"}, {"clean": "canonicalize"}, {"strip_sep_token": True}],
        ids=str,
    )
    @pytest.mark.parametrize("pad", ["[PAD]", "[SEP]"])
    def test_ids_are_those_of_the_transformers_package(
        self, tmp_path: Path, options: dict[str, Any], pad: str
    ) -> None:
        file = wordpiece(tmp_path, pad_token=pad)
        config = {"context_length": 12, "tokenizer_kwargs": options}
        theirs = open_clip.tokenizer.HFTokenizer(str(tmp_path), context_length=12, **options)
        np.testing.assert_array_equal(
            Tokenizer.from_config(config, file)(TEXTS).ids, theirs(TEXTS).numpy()
        )

    def test_texts_without_a_known_word_are_unknown(self, tmp_path: Path) -> None:
        tokenizer = Tokenizer.from_config({"context_length": 12}, wordpiece(tmp_path))
        assert tokenizer.unknown(["red", "りんご", "red りんご", "🍌🍌", ""]) == [1, 3, 4]

    def test_the_built_in_vocabulary_gives_transformers_ids(self) -> None:
        from mmsearch.encoders.registry import BUILTIN_FOLDER

        config = json.loads((BUILTIN_FOLDER / "open_clip_config.json").read_text("utf-8"))
        text_cfg = config["model_cfg"]["text_cfg"]
        ours = Tokenizer.from_config(text_cfg, BUILTIN_FOLDER / "tokenizer.json")
        theirs = open_clip.get_tokenizer(f"local-dir:{BUILTIN_FOLDER}")
        np.testing.assert_array_equal(ours(TEXTS).ids, theirs(TEXTS).numpy())

    def test_identity_follows_what_decides_the_ids(self, tmp_path: Path) -> None:
        file = wordpiece(tmp_path)
        identities = {
            Tokenizer.from_config(config, file).identity
            for config in (
                {},
                {"context_length": 12},
                {"tokenizer_kwargs": {"clean": "canonicalize"}},
            )
        }
        assert len(identities) == 3
        assert Tokenizer.from_config({}, file).identity in identities

    def test_padding_on_the_left_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="pads on the left"):
            Tokenizer.from_config({}, wordpiece(tmp_path, padding_side="left"))


@pytest.mark.parametrize(
    "config",
    [
        {"tokenizer_mode": "clips"},
        {"tokenizer_kwargs": {"reduction_mask": "syntax"}},
        {"tokenizer_kwargs": {"clean": "nonsense"}},
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="this model's tokenizer asks for"):
        Tokenizer.from_config(config, None)
