"""Contrastive training of a dual encoder from a recipe: data, losses, loop and export."""
