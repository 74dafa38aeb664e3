"""What one run of the synthetic city is asked for; the command line is made from these fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssrnet.errors import SettingsError


@dataclass(frozen=True)
class SynthSettings:
    """Render the synthetic vehicle city in VeRi-776's layout; needs `pip install -e .[synth]`.

    Who exists depends on --seed and the shares alone; --workers, --masks and --samples never change
    what a capture shows.
    """

    out: Path
    """Folder to write; a run that was cut off continues there."""
    identities: int = 60
    """Vehicles in all splits together."""
    seed: int = 0
    """Draws the fleet and every capture."""
    train_share: float = 0.5
    """Share of the vehicles (by sibling group) in image_train; the rest is for testing."""
    sibling_share: float = 0.5
    """About how many of the vehicles belong to a group of look-alikes."""
    min_passes: int = 4
    """Fewest cameras a vehicle passes."""
    max_passes: int = 12
    """Most cameras a vehicle passes."""
    max_frames: int = 4
    """Most frames in one track."""
    masks: bool = False
    """Also write a part mask (PNG) for each image."""
    workers: int = 1
    """Processes; each needs about 1.2 GB and one core."""
    samples: int = 4
    """Light paths a pixel before denoising (a square number)."""

    def __post_init__(self) -> None:
        checks = (
            (self.identities >= 1, f"identities is {self.identities}; the city needs at least one vehicle."),
            (0 <= self.train_share <= 1, f"train_share is {self.train_share}; it must lie between 0 and 1."),
            (0 <= self.sibling_share <= 1, f"sibling_share is {self.sibling_share}; it must lie between 0 and 1."),
            (
                2 <= self.min_passes <= self.max_passes <= 20,
                f"min_passes to max_passes is {self.min_passes} to {self.max_passes}; use 2 to 20, in order.",
            ),
            (1 <= self.max_frames <= 4, f"max_frames is {self.max_frames}; a track has 1 to 4 frames."),
            (self.workers >= 1, f"workers is {self.workers}; use at least 1."),
            (
                self.samples >= 1 and int(self.samples**0.5) ** 2 == self.samples,
                f"samples is {self.samples}; use a square number such as 1, 4, 9 or 16.",
            ),
        )
        for fine, message in checks:
            if not fine:
                raise SettingsError(message)
