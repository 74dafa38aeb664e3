"""SSR-Net (Xu et al., ACM TOMM 2022): train, evaluate and explain vehicle re-identification.

The package stands without Streamlit: use it from a notebook, or from the shell as ``ssrnet``. The names below are its
public API; each is imported when it is first used, since PyTorch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssrnet.analysis.comparison import Comparison
    from ssrnet.data.datasets import open_dataset
    from ssrnet.data.protocols import Protocol
    from ssrnet.explain.cam import pair_cams
    from ssrnet.predictor import ImageView, Predictor
    from ssrnet.retrieval.alignment import AlignmentSettings

__version__ = "0.1.0"
__all__ = ["AlignmentSettings", "Comparison", "ImageView", "Predictor", "Protocol", "open_dataset", "pair_cams"]

_MODULES = {
    "AlignmentSettings": "ssrnet.retrieval.alignment",
    "Comparison": "ssrnet.analysis.comparison",
    "ImageView": "ssrnet.predictor",
    "Predictor": "ssrnet.predictor",
    "Protocol": "ssrnet.data.protocols",
    "open_dataset": "ssrnet.data.datasets",
    "pair_cams": "ssrnet.explain.cam",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
