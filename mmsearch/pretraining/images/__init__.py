"""The images that a recipe trains on: with captions, split by concept, as views of pixels."""
