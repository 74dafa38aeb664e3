"""`ssrnet study explanations`: which explanation of a similarity deserves trust, measured."""

from ssrnet.studies.explanations.run import explain_checkpoints

__all__ = ["explain_checkpoints"]
