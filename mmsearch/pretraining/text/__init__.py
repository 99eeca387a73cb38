"""The texts of a recipe: captions, class names, the distillation corpus, and their tokenizer."""
