"""Search for pairs by tier: equal bytes, equal pixels, edited copies, similar images, texts."""
