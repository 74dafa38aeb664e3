"""How far apart pairs of one vehicle and of two lie under a protocol; cached."""

from __future__ import annotations

import streamlit as st

from app.workbench import Model, OpenedDataset, Services
from ssrnet.data.protocols import Protocol, Split
from ssrnet.retrieval.extraction import FeatureSet
from ssrnet.retrieval.verification import Verification, verify


def verification(services: Services, checkpoint: Model, opened: OpenedDataset, protocol: Protocol) -> Verification:
    """The pairs of the opened data set under the protocol, by their cosine."""
    features = services.features(checkpoint, opened)
    root = str(opened.dataset.root)
    return _verification(checkpoint.hash, opened.hash, root, protocol, features, protocol.split(opened.dataset))


@st.cache_resource(max_entries=16, show_spinner="Counting pairs")
def _verification(
    checkpoint_hash: str, dataset_hash: str, root: str, protocol: Protocol, _features: FeatureSet, _split: Split
) -> Verification:
    return verify(_features, _split)
