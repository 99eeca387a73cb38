"""Multimodal embedding search over images, documents and product tables."""
