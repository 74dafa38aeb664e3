"""Features of another program: read from .npz or .mat, matched to a data set, stored as a model without a network."""
