"""Searches a store: queries become vectors, then ranked candidates, then hits."""

from mmsearch.engine.search import Engine, Page

__all__ = ["Engine", "Page"]
