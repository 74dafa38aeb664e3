"""Embeddings of any number of images, searched by name: an exact store in a folder, or a Qdrant collection."""
