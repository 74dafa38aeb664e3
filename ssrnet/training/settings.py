"""The settings of a training run, and the named recipes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from ssrnet.data.augment import AugmentSettings
from ssrnet.errors import SettingsError
from ssrnet.losses import LossSettings
from ssrnet.model import TABLE_1, ModelSettings
from ssrnet.resources import DeviceName

RecipeName = Literal["paper", "strong", "quick", "shipped", "healed"]
NetworkName = Literal["ssrnet", "baseline"]


@dataclass(frozen=True)
class OptimiserSettings:
    """Optimiser and learning rate: linear warm-up, constant, then cosine decay to zero at the last epoch."""

    name: Literal["sgd", "adamw"] = "sgd"
    """The paper uses SGD."""
    learning_rate: float = 1e-4
    """Peak learning rate."""
    new_layers: float = 1.0
    """Factor on the learning rate of everything that does not start from the backbone's weights."""
    momentum: float = 0.9
    """Of SGD; the paper names none."""
    weight_decay: float = 5e-4
    """On every weight that is trained."""
    warmup_epochs: float = 5
    """Epochs of linear rise from a hundredth of the rate."""
    decay_epoch: float = 15
    """Epoch at which the cosine decay starts."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise SettingsError(f"learning_rate is {self.learning_rate:g}; it must be above 0.")
        for name in ("momentum", "weight_decay"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is {getattr(self, name):g}; it must be at least 0.")


@dataclass(frozen=True)
class TrainSettings:
    """Train SSR-Net or one of its variants.

    --recipe and --network choose the defaults of all other options; run
    `ssrnet train --recipe quick --help` to see the values of that recipe.
    """

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Data folder: VeRi-776, VehicleID, VERI-Wild, Market-style, or one with a CSV manifest."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder for checkpoints, settings and log; nothing is written anywhere else."""
    more_data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")] = ()
    """Further data folders whose training images are added; their vehicles count as different ones."""
    recipe: RecipeName = "paper"
    """Named recipe that the defaults come from; unless given, `paper` on a GPU and `quick` on a CPU."""
    network: NetworkName = "ssrnet"
    """Row of Table 1 that the model's defaults come from; every --model option still applies."""
    model: ModelSettings = field(default_factory=ModelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    backbone_weights: str = "imagenet"
    """Start of the backbone: a .safetensors or .pth file, `imagenet` (torchvision's, downloaded), or `none`."""
    start_from: Path | None = None
    """Start all weights from this checkpoint, not --backbone-weights; classifiers of another size are dropped."""
    start_anew: tuple[str, ...] = ()
    """With --start-from: parts of the model (attention, graph, ...) that keep their random start."""
    frozen_stages: int = 0
    """Backbone stages that are not trained: 1 freezes the stem, 3 up to layer2."""
    subset: int | None = None
    """Test subset of VehicleID (800, 1600, 2400) or VERI-Wild (3000, 5000, 10000)."""
    layout: str | None = None
    """Read --data as this layout, as `Folders`, whatever it is recognised as; other folders are read as recognised."""
    epochs: int = 60
    """The paper names no number."""
    epoch_over: Literal["images", "identities"] = "images"
    """An epoch shows about as many images as there are, or each identity once, K images of it."""
    max_steps: int | None = None
    """Stop after so many steps in all, to try a run out."""
    identities_per_batch: int = 8
    """P of the PK batch."""
    images_per_identity: int = 4
    """K of the PK batch."""
    sizes: tuple[tuple[int, int], ...] = ((0, 256),)
    """Pairs of first epoch and square image side: `0 128 15 192` trains at 128 px, from epoch 15 at 192 px."""
    holdout: int = 0
    """Training identities held back, drawn by the seed, for the learning curve and the choice of the best epoch."""
    evaluate_every: int = 5
    """Epochs between evaluations on the held-back identities."""
    seed: int = 0
    """Of weights, batches and augmentation."""
    mixed_precision: bool = True
    """On CUDA, bfloat16 where it is safe (autocast); losses and weights stay float32."""
    cpu_bfloat16: bool = False
    """The same on a CPU: 2.5 times as fast where it has AMX (Intel Xeon from 2023 on), far slower elsewhere."""
    compile: bool = False
    """Let torch.compile fuse the network's operations; the first steps take minutes."""
    freeze_batch_norm: bool = False
    """Batch norms keep the statistics that they start with, for fine-tuning in small batches."""
    sync_batch_norm: bool = False
    """With several GPUs: batch norms take their statistics over the whole batch, not each GPU's part."""
    cache: Path | None = None
    """Folder for decoded images, shared by runs and kept; by default in --out, and removed at the last epoch."""
    cache_images: bool = True
    """Decode the images once (3 x side x side bytes each); without, anew each epoch, for disks without the room."""
    skip_damaged: bool = False
    """Read every image first, and go on without those that cannot be read; the summary counts them."""
    workers: int = 4
    """Processes that decode images."""
    device: DeviceName = "auto"
    """Where to train; under torchrun each process takes a GPU of its own."""
    resume: bool = False
    """Go on from the last checkpoint in --out."""

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.sizes]
        if not self.sizes or starts[0] != 0 or sorted(set(starts)) != starts:
            raise SettingsError(
                f"sizes is {self.sizes}; give pairs of first epoch and pixels with epochs rising from 0."
            )
        if min(size for _, size in self.sizes) < 32:
            raise SettingsError(f"sizes is {self.sizes}; an image needs at least 32 pixels a side.")
        for name in ("epochs", "max_steps", "evaluate_every", "identities_per_batch", "images_per_identity"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} is {value}; it must be at least 1.")
        for name in ("holdout", "seed", "workers"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 0.")
        if self.holdout == 1:
            raise SettingsError("holdout is 1; ranking one identity says nothing, so hold back 0 or at least 2.")
        self._check_batch()

    def _check_batch(self) -> None:
        P, K = self.identities_per_batch, self.images_per_identity
        if P * K == 1:
            raise SettingsError(
                "identities_per_batch and images_per_identity are both 1; batch norm needs at least two images."
            )
        if self.loss.needs_pairs and min(P, K) < 2:
            raise SettingsError(
                f"identities_per_batch is {P} and images_per_identity is {K}; {self.loss.title} needs at least 2 of "
                "each, since it compares images of a vehicle with those of others."
            )

    def image_size(self, epoch: int) -> int:
        """Side in pixels at an epoch."""
        return [size for start, size in self.sizes if start <= epoch][-1]

    @property
    def final_image_size(self) -> int:
        """The side that the finished model is used at."""
        return self.sizes[-1][1]


def has_amx() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (Intel's AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def recipe(name: RecipeName, network: NetworkName = "ssrnet") -> TrainSettings:
    """The settings of a named recipe; data and out are left empty.

    ``paper`` has every number of Sec. 4.2. Ours, where it names none: momentum 0.9, 60 epochs, 10 pixels of
    padding before the crop. Its batch of 32 went to four GPUs; ours is 32 whatever their number. In one thing it departs
    from the text, as all recipes do: Eq. 6 sums over the batch, and here its mean is taken (``--loss.reduction sum`` is
    Eq. 6 as printed). ``ssrnet/studies/readings.json`` lists all such readings.

    ``strong`` is what today's baselines do (Luo et al., CVPRW 2019, "Bag of Tricks"; fast-reid; Huynh et al.,
    AI City 2021). Its departures from the paper, each with its reason:
    AdamW at 3.5e-4 (SGD at 1e-4 barely moves layers that start at random); new layers at twice that (they
    start from nothing); warm-up over 10 epochs, cosine from 30 (Adam's first steps are too long for a
    pre-trained backbone); label smoothing 0.1 (identities of the test are never among the classes, so
    certainty about those is worth little); erasing at 0.5 (occlusion); colour jitter 0.15 (cameras differ in
    white balance; more would wash out the vehicle's own colour); 16x4 batches (harder negatives to mine).
    Architecture, image size and loss are the paper's, so that networks remain comparable.

    ``quick`` trains in minutes on a CPU; its departures: small images first (a step costs a quarter),
    stem to layer2 frozen (half the cost again, and few images cannot improve them), AdamW at 3e-4
    (SGD at 1e-4 has hardly moved after so few steps), 16x2 batches (data sets as small as twocam
    have two images a vehicle), label smoothing and erasing (as in ``strong``), epochs that show each
    vehicle once (a data set with many images a vehicle would take hours).

    ``shipped`` and ``healed`` made ``checkpoints/``, one after the other. ``shipped`` takes minutes on a GPU:
    ``strong`` with colour jitter 0.2 (the city's cameras differ in exposure), 36 epochs with 2 of warm-up and the
    cosine from 9 on, 100 identities held back, on which it was chosen. Its zero padding marks a corner of F_G, which
    saturates M_c. ``healed`` goes on from it (``--start-from``) with replicate padding and the attention module anew,
    so gently that it takes half an hour on two cores with AMX: stem to layer2 frozen, 5e-5, new layers three times
    that, 8x4 batches, three epochs over the vehicles.
    """
    model = ModelSettings(**TABLE_1["GB" if network == "baseline" else "+AB+RB"])
    settings = TrainSettings(data=Path(), out=Path(), recipe=name, network=network, model=model)
    if name == "paper":
        return settings
    if name in ("strong", "shipped", "healed"):
        strong = replace(
            settings,
            loss=LossSettings(label_smoothing=0.1),
            augment=AugmentSettings(erase=0.5, colour=0.15),
            optimiser=OptimiserSettings(
                name="adamw", learning_rate=3.5e-4, new_layers=2, weight_decay=5e-4, warmup_epochs=10, decay_epoch=30
            ),
            identities_per_batch=16,
        )
        if name == "strong":
            return strong
        shipped = replace(
            strong,
            augment=AugmentSettings(erase=0.5, colour=0.2),
            optimiser=replace(strong.optimiser, warmup_epochs=2, decay_epoch=9),
            epochs=36,
            holdout=100,
        )
        if name == "shipped":
            return shipped
        return replace(
            shipped,
            model=replace(model, padding="replicate"),
            backbone_weights="none",
            start_anew=("attention",),
            frozen_stages=3,
            optimiser=replace(strong.optimiser, learning_rate=5e-5, new_layers=3, warmup_epochs=0.25, decay_epoch=0.5),
            epochs=3,
            epoch_over="identities",
            identities_per_batch=8,
            evaluate_every=3,
            cpu_bfloat16=has_amx(),
        )
    return replace(
        settings,
        loss=LossSettings(label_smoothing=0.1),
        augment=AugmentSettings(erase=0.5),
        optimiser=OptimiserSettings(
            name="adamw", learning_rate=3e-4, weight_decay=5e-4, warmup_epochs=2, decay_epoch=2
        ),
        frozen_stages=3,
        epochs=12,
        epoch_over="identities",
        identities_per_batch=16,
        images_per_identity=2,
        sizes=((0, 128), (10, 192)),
        workers=0,
    )
