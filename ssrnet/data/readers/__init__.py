"""One module for each data-set layout.

Every reader has ``LAYOUT`` (the layout's name), ``EXPECTS`` (the files that mark it) and three functions:
``recognise(root)`` returns which of these files are there, in words, or None; ``subsets(root)`` the sizes of the test
split to choose from, smallest first; ``read(root, why, subset)`` the data set. No reader opens an image.
"""
