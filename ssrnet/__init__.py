"""SSR-Net (Xu et al., ACM TOMM 2022): train, evaluate and explain vehicle re-identification.

The package stands without Streamlit: use it from a notebook, or from the shell as ``ssrnet``.
"""

__version__ = "0.1.0"
