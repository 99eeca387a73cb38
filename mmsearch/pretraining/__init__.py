"""How the built-in model is made: `train_recipe` reads a recipe and writes a model folder."""
