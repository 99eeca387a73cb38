"""The stages of a recipe: distillation of the text tower, alignment, and tuning of the trunk."""
