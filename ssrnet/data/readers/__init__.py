"""One module a data set's layout.

Every reader has ``LAYOUT`` and ``EXPECTS`` (the layout's name, and what marks it), and three functions:
``recognise(root)`` gives the marks it found, or None; ``subsets(root)`` the sizes of test split to choose
from, smallest first; ``read(root, why, subset)`` the data set. No reader opens an image.
"""
