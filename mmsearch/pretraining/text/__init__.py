"""Texts to learn from: vocabulary, word lists, generated captions, and word vectors."""
