"""The names of a part mask's labels, in the order of their pixel values."""

PART_NAMES: tuple[str, ...] = (
    "background", "body", "windscreen", "side glass", "rear glass", "front lamp", "rear lamp", "grille", "wheel",
    "plate", "roof", "bonnet", "door", "boot", "bumper", "mirror", "trim", "underbody", "interior", "cargo",
    "sticker", "ornament", "decal", "lettering", "stripe", "dent", "scratch", "hubcap", "rack", "roof box", "sunroof",
    "spoiler", "tow bar", "ladder", "spare wheel", "beacon", "sun strip", "mud flap", "patch", "occluder",
)  # fmt: skip
PART_VALUES = {name: value for value, name in enumerate(PART_NAMES)}
FIRST_MARK = PART_VALUES["sticker"]
