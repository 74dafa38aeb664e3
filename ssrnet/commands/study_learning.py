"""``ssrnet study learning``: trains a small network, and records what happens inside it at every epoch.

ssrnet study learning --data DIR --out runs/learning --publish assets
"""

from __future__ import annotations

from ssrnet.files import write_atomically
from ssrnet.studies.learning.recorder import record_run
from ssrnet.studies.settings import LearningStudySettings

QUALITY = 85
"""Of the batch's JPEG."""


def study_learning(settings: LearningStudySettings) -> None:
    """Runs the command: writes learning/run.safetensors and learning/batch.jpg to ``out`` and ``publish``."""
    record, sheet = record_run(settings)
    for folder in filter(None, (settings.out, settings.publish)):
        (folder / "learning").mkdir(parents=True, exist_ok=True)
        record.save(folder / "learning/run.safetensors")
        write_atomically(
            folder / "learning/batch.jpg", lambda temporary: sheet.save(temporary, "JPEG", quality=QUALITY)
        )
        print(f"{folder / 'learning'}: {record.states} states of a batch of {len(record.images)} images")
