"""Pairs tier by tier: equal bytes, equal pixels, edited copies, similar images, equal texts."""
