"""The model that training builds is open_clip's own, and starts from its teachers."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tokenizers import Tokenizer

from mmsearch.pretraining import model
from mmsearch.pretraining.images.captioned import CaptionedImage
from mmsearch.pretraining.images.views import decode_rgba, plain_view
from mmsearch.pretraining.recipe import ImageTower, Recipe, TextTower
from mmsearch.pretraining.stages.word_vectors import fit_word_vectors, initialise_text
from mmsearch.pretraining.text import tokenizer as tokenizers
from mmsearch.training.model_folder import write_model_folder

TEXTS = ["a red apple", "a green pear on a table", "two blue birds", "the sea", "an old red boat"]
CONTEXT = 10
RECIPE = Recipe(
    name="tiny",
    sources=("catalog",),
    embed_dim=24,
    image=ImageTower(trunk="test_efficientnet", size=64),
    text=TextTower(context=CONTEXT, width=16, heads=2, layers=3),
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizers.learn(TEXTS * 3, size=300, context=CONTEXT)


@pytest.fixture(scope="module")
def config(tokenizer: Tokenizer) -> dict[str, Any]:
    return model.model_config(RECIPE, vocabulary=tokenizer.get_vocab_size())


def test_the_end_has_the_highest_id_and_padding_is_zero(
    tokenizer: Tokenizer,
) -> None:
    ids = tokenizers.token_ids(tokenizer, ["a red apple", "the sea " * 30])
    end = tokenizer.get_vocab_size() - 1
    assert ids.shape == (2, CONTEXT)
    assert (ids[:, 0] == tokenizers.START_ID).all()
    assert (ids.max(axis=1) == end).all()
    assert ids[1, -1] == end
    assert (ids[0, ids[0].argmax() + 1 :] == tokenizers.PAD_ID).all()


def test_encode_ids_is_open_clips_encode_text(config: dict[str, Any], tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    clip = model.build_model(config["model_cfg"])
    ids = torch.from_numpy(tokenizers.token_ids(tokenizer, TEXTS))
    with torch.inference_mode():
        expected = F.normalize(clip.encode_text(ids), dim=-1)
        torch.testing.assert_close(model.encode_ids(clip, ids), expected, atol=1e-5, rtol=0)
        pooled = model.pool_all(clip, ids) @ clip.text_projection
        torch.testing.assert_close(F.normalize(pooled, dim=-1), expected, atol=1e-5, rtol=0)


def test_the_text_tower_starts_as_the_word_vectors(
    config: dict[str, Any], tokenizer: Tokenizer
) -> None:
    ids = tokenizers.token_ids(tokenizer, TEXTS).astype(np.int32)
    teacher = np.random.default_rng(0).normal(size=(len(TEXTS), 16))
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    words = fit_word_vectors(
        ids,
        teacher.astype(np.float16),
        vocabulary=tokenizer.get_vocab_size(),
        steps=60,
        seed=0,
        report=lambda step, loss: None,
    )
    clip = model.build_model(config["model_cfg"])
    initialise_text(clip, words)
    with torch.inference_mode():
        vectors = model.encode_ids(clip, torch.from_numpy(ids.astype(np.int64)))
    assert vectors[:, 16:].abs().max() < 1e-6
    cosines = (vectors[:, :16].numpy() * teacher).sum(axis=1)
    assert cosines.mean() > 0.9


def test_the_head_starts_with_the_classifiers_answer() -> None:
    torch.manual_seed(0)
    classifier = torch.nn.Linear(20, 6)
    torch.nn.init.zeros_(classifier.bias)
    head = torch.nn.Module()
    head.fc1, head.fc2 = torch.nn.Linear(20, 16), torch.nn.Linear(16, 8)
    names = F.normalize(torch.randn(6, 8), dim=-1)
    model.initialise_head(head, classifier, names)
    weight = classifier.weight.detach()
    # Features of which the classifier gives one class a logit of 9.
    features = 9 * weight / (weight**2).sum(dim=1, keepdim=True)
    with torch.inference_mode():
        image = F.normalize(head.fc2(F.gelu(head.fc1(features))), dim=-1)
    assert ((image @ names.T).argmax(dim=1) == torch.arange(6)).all()


def test_open_clip_reads_what_was_written(
    tmp_path: Path,
    config: dict[str, Any],
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.manual_seed(1)
    clip = model.build_model(config["model_cfg"])
    files = tokenizers.save(tokenizer, tmp_path / "tokenizer", context=CONTEXT)
    write_model_folder(tmp_path, clip.state_dict(), config, tokenizer_files=files, card="# card\n")
    loaded, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    texts = [*TEXTS, "  Red   APPLE &amp; pear!  ", "ünïcode ☃ words", "the sea " * 30]
    theirs = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(texts)
    assert (theirs.numpy()[:5] == tokenizers.token_ids(tokenizer, texts[:5])).all()
    unescaped = [text.replace("&amp;", "&") for text in texts]
    assert (theirs.numpy() == tokenizers.token_ids(tokenizer, unescaped)).all()
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded.eval().encode_text(theirs), clip.encode_text(theirs), atol=0.02, rtol=0.02
        )
    photo = _photo(tmp_path / "photo.png")
    captioned = CaptionedImage("a", "a", "a", ("a",), path=photo)
    with Image.open(photo) as image:
        expected = preprocess(image.convert("RGB")).numpy()
    np.testing.assert_allclose(plain_view(decode_rgba(captioned), 64), expected, atol=1e-2)


def _photo(file: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((170, 121)).save(file)
    return file
