"""The Streamlit app: pages and widgets; everything that computes is in :mod:`ssrnet`."""

import os

# The browser, and often a training run, share the app's few cores. Threads of a network that spin while they wait
# for each other then take each other's turn, and one image's features 2.6 s in place of 0.15 s on two cores.
# Read when PyTorch is imported, which happens later.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
