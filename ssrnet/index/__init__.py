"""Galleries of any number of images, searched exactly: in a folder, or in a Qdrant collection."""
