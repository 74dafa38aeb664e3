"""``ssrnet index build | search | serve-check``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from ssrnet.commands.index_build import BuildSettings, build_index
from ssrnet.commands.index_search import SearchSettings, search_index
from ssrnet.commands.index_server import ServeCheckSettings, serve_check


@dataclass(frozen=True)
class IndexSettings:
    """Keep the embeddings of any number of images in an index, and search it exactly."""

    action: Annotated[
        Annotated[BuildSettings, tyro.conf.subcommand("build")]
        | Annotated[SearchSettings, tyro.conf.subcommand("search")]
        | Annotated[ServeCheckSettings, tyro.conf.subcommand("serve-check")],
        tyro.conf.arg(name=""),
    ]


def index_command(settings: IndexSettings) -> None:
    """Runs one of the three commands."""
    actions: dict[type, Callable[[Any], None]] = {
        BuildSettings: build_index,
        SearchSettings: search_index,
        ServeCheckSettings: serve_check,
    }
    actions[type(settings.action)](settings.action)
