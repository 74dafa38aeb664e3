"""``ssrnet export``: write a checkpoint's embedding as an ONNX file, for use without PyTorch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import ssrnet
from ssrnet.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from ssrnet.errors import CheckpointError, InstallationError, SettingsError
from ssrnet.files import check_writable, write_atomically
from ssrnet.model import EmbeddingSettings, SSRNet
from ssrnet.training.checkpoint import Checkpoint, load_checkpoint

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT, OUTPUT = "images", "embedding"
TOLERANCE = 1e-4
"""Largest accepted difference between onnxruntime's and PyTorch's embeddings, times their largest value if above 1."""
CHECKED_BATCHES = (1, 2, 5)
"""A graph traced for several images may be wrong for a single one."""
INSTALL = "run `pip install -e .[export]` in the folder of SSR-Net Explorer"


@dataclass(frozen=True)
class ExportSettings:
    """Write a checkpoint's embedding as an ONNX file for batches of any size."""

    checkpoint: Path
    """Checkpoint that `ssrnet train` wrote."""
    out: Path
    """File to write, ending in .onnx."""
    image_size: int | None = None
    """Side of the square input in pixels; by default the size the checkpoint was trained at."""
    embedding: EmbeddingSettings = EmbeddingSettings()

    def __post_init__(self) -> None:
        if self.out.suffix != ".onnx":
            raise SettingsError(f"{self.out} does not end in .onnx; give --out such a name.")
        if self.image_size is not None and self.image_size < 32:
            raise SettingsError(f"image_size is {self.image_size}; an image needs at least 32 pixels per side.")


class Difference(NamedTuple):
    """Between two computations of the same embeddings: the largest difference, and the largest value."""

    largest: float
    scale: float

    @property
    def tolerable(self) -> bool:
        """Whether the difference is within :data:`TOLERANCE`; NaN is not."""
        return self.largest <= TOLERANCE * max(1.0, self.scale)


class _Embedding(nn.Module):
    """Normalised images (B, 3, size, size) to embeddings (B, D)."""

    def __init__(self, model: SSRNet, settings: EmbeddingSettings) -> None:
        super().__init__()
        self.model = model
        self.settings = settings

    def forward(self, images: Tensor) -> Tensor:
        return self.model.trace(images).embedding(self.settings)


def export_checkpoint(settings: ExportSettings) -> None:
    """Runs the command: writes the file, and prints by how much its embeddings differ from PyTorch's.

    They are compared before the file gets its name, so a wrong graph replaces nothing. Without onnxruntime they are
    not compared, which is printed. Raises :class:`InstallationError` without onnx or onnxscript,
    :class:`CheckpointError` where the two differ by more than :data:`TOLERANCE`, :class:`SettingsError`
    for a branch that the model lacks, :class:`ResourceError` where the file cannot be written.
    """
    _need("onnx", "onnxscript")
    checkpoint = load_checkpoint(settings.checkpoint)
    check_writable(settings.out)  # before the graph is traced, not after
    size = settings.image_size or checkpoint.info.image_size
    network = _Embedding(checkpoint.model, settings.embedding).eval()
    with torch.no_grad():  # raises for a branch that the model lacks
        length = network(torch.zeros(1, 3, size, size)).shape[1]
    graph = to_onnx(network, size, metadata(checkpoint, settings))
    checked = "not compared with PyTorch, since onnxruntime is not installed"

    def write(temporary: Path) -> None:
        nonlocal checked
        temporary.write_bytes(graph.SerializeToString())
        if _is_installed("onnxruntime"):
            difference = onnx_difference(temporary, network, size)
            if not difference.tolerable:
                raise CheckpointError(
                    f"{settings.out} was not written: onnxruntime's embeddings of {settings.checkpoint} differ from "
                    f"PyTorch's by {difference.largest:.1e}, more than {TOLERANCE:g}; please report this network."
                )
            checked = (
                f"largest difference from PyTorch {difference.largest:.1e} where the largest value is "
                f"{difference.scale:.1f}, batches of {', '.join(map(str, CHECKED_BATCHES))}"
            )

    write_atomically(settings.out, write)
    print(f"{settings.out}: {checkpoint.info.model.title}, {INPUT} (N, 3, {size}, {size}) -> {OUTPUT} (N, {length:,})")
    print(checked)


def metadata(checkpoint: Checkpoint, settings: ExportSettings) -> dict[str, str]:
    """The metadata of the ONNX file; lists and settings are JSON."""
    return {
        **{name: str(value) for name, value in checkpoint.record.items()},
        "image_size": str(settings.image_size or checkpoint.info.image_size),
        "colour_order": "RGB, values in [0, 1] before normalisation",
        "mean": json.dumps(IMAGENET_MEAN),
        "std": json.dumps(IMAGENET_STD),
        **{name: json.dumps(value) for name, value in asdict(settings.embedding).items()},
        "dataset": checkpoint.info.dataset,
        "dataset_hash": checkpoint.info.dataset_hash,
        "version": ssrnet.__version__,
    }


def to_onnx(network: nn.Module, size: int, metadata: dict[str, str]) -> ModelProto:
    """The graph of ``network`` for images (N, 3, size, size) of any N, with its ``metadata``."""
    example = torch.zeros(3, 3, size, size)
    with _quiet():
        # strict=True: the relation graph calls len() on a batch, which the other tracer treats as a constant.
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=True)
        graph = torch.onnx.export(program, input_names=[INPUT], output_names=[OUTPUT], verbose=False).model_proto
    _tidy(graph)
    for name, value in metadata.items():
        graph.metadata_props.add(key=name, value=value)
    return graph


def onnx_difference(path: Path, network: nn.Module, size: int) -> Difference:
    """Compares the embeddings of random images by onnxruntime, from ``path``, with PyTorch's, on the CPU.

    Raises :class:`InstallationError` where onnxruntime cannot run the file.
    """
    onnxruntime = import_module("onnxruntime")
    generator = torch.Generator().manual_seed(0)
    largest = scale = 0.0
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for batch in CHECKED_BATCHES:
            images = torch.randn(batch, 3, size, size, generator=generator)
            (answer,) = session.run([OUTPUT], {INPUT: images.numpy()})
            with torch.no_grad():
                expected = network(images)
            # numpy's maximum propagates NaN, Python's does not
            largest = float(np.maximum(largest, np.abs(answer - expected.numpy()).max()))
            scale = max(scale, expected.abs().max().item())
    except Exception as error:  # onnxruntime's exceptions have no public base class
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise InstallationError(
            f"onnxruntime {onnxruntime.__version__} cannot run the exported graph "
            f"({str(error).splitlines()[0]}); {INSTALL}."
        ) from error
    return Difference(largest, scale)


def _tidy(graph: ModelProto) -> None:
    """Names the batch axis, and removes source paths and stack traces of this machine."""
    free = graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.graph.input, *graph.graph.output):
        del value.metadata_props[:]
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param == free:
                axis.dim_param = "batch"
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.graph.metadata_props[:]
    del graph.graph.value_info[:]  # shapes between layers, with the old axis name; runtimes infer them


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses the exporter's warnings, which are about PyTorch's internals."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _need(*packages: str) -> None:
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        raise InstallationError(f"exporting needs {' and '.join(missing)}, not installed here; {INSTALL}.")


def _is_installed(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return False
    return True
