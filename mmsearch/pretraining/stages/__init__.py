"""The stages of training: word vectors, distillation of the text tower, alignment, backbone."""
