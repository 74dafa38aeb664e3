"""The network: backbone, attention, regions, graph, and their assembly. Knows no file and no data set."""

from ssrnet.model.backbones import BACKBONES
from ssrnet.model.embedding import EmbeddingSettings
from ssrnet.model.settings import TABLE_1, ModelSettings
from ssrnet.model.ssrnet import FeatureMap, SSRNet, Trace

__all__ = ["BACKBONES", "TABLE_1", "EmbeddingSettings", "FeatureMap", "ModelSettings", "SSRNet", "Trace"]
