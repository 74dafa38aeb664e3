"""Controls that the pages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st


def one_of(
    label: str, options: Sequence | Mapping[Any, str], key: str, default: Any = None, place: Any = st, **more: Any
) -> Any:
    """A row of buttons, one of which is always chosen, at the start the first or the ``default``; the URL names it.

    options: values, or a mapping from values to what stands on their buttons. place: a column or container.
    more: of ``st.segmented_control``.
    """
    values = list(options)
    if isinstance(options, Mapping):
        more["format_func"] = options.__getitem__
    default = values[0] if default is None else default
    return place.segmented_control(label, values, default=default, required=True, key=key, bind="query-params", **more)


def toggle_parameter(name: str, value: str) -> None:
    """Sets the URL's parameter, or removes it where it has this value already."""
    if st.query_params.get(name) == value:
        del st.query_params[name]
    else:
        st.query_params[name] = value
