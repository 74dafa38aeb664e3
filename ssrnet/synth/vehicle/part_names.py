"""The names of a part mask's labels, in the order of their pixel values."""

from typing import get_args

from ssrnet.synth.vehicle.specs import MarkKind

PART_NAMES: tuple[str, ...] = (
    "background",
    "body",
    "windscreen",
    "side glass",
    "rear glass",
    "front lamp",
    "rear lamp",
    "grille",
    "wheel",
    "plate",
    "roof",
    "bonnet",
    "door",
    "boot",
    "bumper",
    "mirror",
    "trim",
    "underbody",
    "interior",
    "cargo",
    *get_args(MarkKind),
    "occluder",
)
PART_VALUES = {name: value for value, name in enumerate(PART_NAMES)}
FIRST_MARK, OCCLUDER = PART_VALUES["sticker"], PART_VALUES["occluder"]
