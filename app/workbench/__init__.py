"""What a viewer has opened, and everything that the pages compute from it; the only place with caches.

Nothing here imports torchvision before a network is built: it takes as long as all else that a first rank list needs,
and where the features are stored none is.
"""

from app.workbench.dataset import OpenedDataset
from app.workbench.model import OpenedModel
from app.workbench.options import RankingOptions
from app.workbench.progress import Progress
from app.workbench.workbench import Workbench

__all__ = ["OpenedDataset", "OpenedModel", "Progress", "RankingOptions", "Workbench"]
