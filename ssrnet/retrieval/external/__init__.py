"""Features that another program computed: read from .npz, matched to a data set, kept as a model without a network."""
