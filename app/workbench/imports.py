"""Imported models that fit the opened data set."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import workbench
from app.workbench import OpenedDataset
from ssrnet.retrieval.external.model import FOLDER, ImportedModel, read_import


def imported_models(opened: OpenedDataset) -> dict[str, ImportedModel]:
    """By name, those of the working folder and of the project's that `ssrnet import` made for this very data set."""
    folders = dict.fromkeys((Path.cwd() / FOLDER, workbench.ROOT / FOLDER))
    paths = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    found: dict[str, ImportedModel] = {}
    for path in paths:
        model = _imported(str(path), workbench._stamp(path))
        if model is not None and model.dataset_hash == opened.hash:
            found.setdefault(model.name, model)
    return dict(sorted(found.items()))


@st.cache_resource(max_entries=256, show_spinner=False)
def _imported(path: str, stamp: tuple) -> ImportedModel | None:
    return read_import(Path(path))
