"""Training of the fusion that makes product vectors from the tuned model's embeddings."""
