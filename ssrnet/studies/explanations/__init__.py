"""`ssrnet study explanations`: which explanation of a similarity deserves trust, measured."""
