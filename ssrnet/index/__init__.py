"""Galleries of any number of images, in a folder or in a Milvus collection, searched exactly unless asked otherwise."""
