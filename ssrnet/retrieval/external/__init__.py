"""Features of another program: read from .npz, matched to a data set, stored as a model without a network."""
