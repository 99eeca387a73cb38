"""Training and scoring of fusions, which combine image and text into product vectors."""
