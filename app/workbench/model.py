"""An opened model: one network, or imported features, on the opened data set under the chosen protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from app.workbench import places
from app.workbench.cache import cached, cached_value, content_key, session_cached, session_values, stored
from app.workbench.dataset import OpenedDataset
from app.workbench.options import LONGEST_LIST, RankingOptions
from app.workbench.progress import Progress, counted
from app.workbench.uploaded_data import RowsInSession
from ssrnet.analysis.camera_facts import camera_facts, cautions
from ssrnet.data.protocols import Protocol, Split
from ssrnet.data.records import VehicleImage
from ssrnet.data.training_sets import SeenInTraining
from ssrnet.data.uploads import UploadedImage
from ssrnet.errors import CheckpointError
from ssrnet.explain.shares import BranchFeatures
from ssrnet.index.kept_features import extract_and_keep
from ssrnet.installation import check_installation
from ssrnet.model import ModelSettings, SSRNet
from ssrnet.predictor import BATCH, ImageView, Predictor
from ssrnet.resources import resolve_device
from ssrnet.retrieval.alignment import ALIGNED, AlignmentSettings, CameraStatistics, Standardisation, camera_statistics
from ssrnet.retrieval.evaluation import Evaluation, evaluate, ranked
from ssrnet.retrieval.external.model import ImportedModel
from ssrnet.retrieval.extraction import ExtractSettings, FeatureSet, RestorableFeatures, describe, extract
from ssrnet.retrieval.feature_files import KEPT, Record, feature_record, find_features
from ssrnet.retrieval.ranking import RankedImage, Ranking, rank_by_cosine
from ssrnet.retrieval.reranking import ReRankSettings
from ssrnet.training.checkpoint import StoredCheckpoint, load_checkpoint
from ssrnet.training.trained_on import seen_by


@dataclass(frozen=True)
class OpenedModel:
    """One model on the opened data set under the chosen protocol: a network's checkpoint, or imported features."""

    title: str
    source: StoredCheckpoint | ImportedModel
    data: OpenedDataset
    protocol: Protocol
    alignment: AlignmentSettings | None = None
    """How features are aligned by camera before they are compared; None compares them as they are."""

    @property
    def content_key(self) -> tuple:
        return self.source.hash, self.data.content_key, self.protocol, self.alignment

    @property
    def uploaded_digest(self) -> str:
        return self.data.uploaded_digest

    @property
    def aligned(self) -> OpenedModel:
        """The same model with its features aligned by camera, which its title says."""
        return self if self.alignment else replace(self, title=self.title + ALIGNED, alignment=AlignmentSettings())

    @property
    def raw(self) -> OpenedModel:
        """The same model with its features as they are."""
        return replace(self, title=self.title.removesuffix(ALIGNED), alignment=None) if self.alignment else self

    @property
    def is_aligned(self) -> bool:
        return self.alignment is not None

    @property
    def hash(self) -> str:
        return self.source.hash

    @property
    def has_network(self) -> bool:
        return isinstance(self.source, StoredCheckpoint)

    @property
    def settings(self) -> ModelSettings:
        """The network's settings; imported features have none."""
        return self.source.info.model

    @property
    def has_graph(self) -> bool:
        return self.has_network and self.settings.has_graph

    @property
    def predictor(self) -> Predictor:
        """The network, loaded when it is first needed; raises :class:`CheckpointError` where the file has changed."""
        return cached("predictors", (str(self.source.path), self.hash), self._load, 4, "Loading the checkpoint")

    @property
    def is_loaded(self) -> bool:
        """Whether the network is in memory, so that a new image takes well under a second."""
        return cached_value("predictors", (str(self.source.path), self.hash)) is not None

    @property
    def network(self) -> SSRNet:
        return self.predictor.model

    # One image

    def view(self, image: VehicleImage) -> ImageView:
        """The image in the network: its F_G is computed once."""
        return self.views([image])[0]

    def views(self, images: Sequence[VehicleImage]) -> list[ImageView]:
        """As :meth:`view`; images that are not there yet go through the network together."""
        new = [image for image in dict.fromkeys(images) if cached_value("views", (self.hash, image)) is None]
        made = dict(zip(new, self.predictor.set_images(new), strict=True)) if new else {}
        # A view holds 2 MB of F_G at 256 pixels, and as much of F_attn once its trace is computed.
        return [
            cached("views", (self.hash, image), lambda image=image: made.get(image) or self.predictor.set_image(image))
            for image in images
        ]

    # The data set

    @property
    def split(self) -> Split:
        """Queries and gallery, which a shot protocol would draw again at each call."""
        key = (self.data, self.protocol)
        return cached("splits", key, lambda: self.protocol.split(self.data.dataset), most=8)

    def made_by(self, settings: ExtractSettings = ExtractSettings()) -> Record:
        """What a record says of the model's features; the settings of imported ones are not known."""
        if isinstance(self.source, ImportedModel):
            return self.source.record
        return self.source.record | describe(settings, self.source.info.image_size)

    def stored_features(self, settings: ExtractSettings = ExtractSettings()) -> FeatureSet | None:
        """Embeddings of the test images from memory, from the demo, or from an earlier extraction; else None.

        The settings make no difference to imported features.
        """
        return stored("features", self._features_key(settings), lambda: self._features_on_disk(settings), most=6)

    def features(
        self, progress_callback: Progress | None = None, settings: ExtractSettings = ExtractSettings()
    ) -> FeatureSet:
        """Stored embeddings of the test images, or else new ones, which are stored on the disk.

        An extraction that was stopped continues from the images that it had done.
        """

        def make() -> FeatureSet:
            features = self._features_on_disk(settings)
            return self._extract(settings, progress_callback) if features is None else features

        return cached("features", self._features_key(settings), make, most=6)

    def statistics(self, options: RankingOptions = RankingOptions()) -> CameraStatistics | None:
        """The camera statistics of the protocol's images, at the lambda of training; None for raw features."""
        if self.alignment is None:
            return None
        features, key = self._chosen_features(options)
        return cached("camera statistics", key, lambda: camera_statistics(features, self.split, self.alignment), 8)

    def standardisation(
        self, images: Sequence[VehicleImage | None], options: RankingOptions = RankingOptions()
    ) -> Standardisation | None:
        """What alignment does to embeddings of these images, None for an upload; None where features are not aligned."""
        statistics = self.statistics(options)
        if statistics is None:
            return None
        return statistics.of_images([image.camera_id if image else None for image in images])

    @property
    def alignment_cautions(self) -> tuple[str, ...]:
        """Why aligning by these cameras may do harm, a sentence each; none where nothing speaks against it."""

        def compute() -> tuple[str, ...]:
            images = list({image.name: image for image in (*self.split.query, *self.split.gallery)}.values())
            return cautions(camera_facts(images, self.features().rows(images)))

        return cached("alignment cautions", self, compute, 16)

    def compared_features(self, options: RankingOptions = RankingOptions()) -> FeatureSet:
        """The test images' features as they are compared: of the chosen branches, aligned if the model is."""
        features, key = self._chosen_features(options)
        statistics = self.statistics(options)
        if statistics is None:
            return features
        return cached("aligned features", key, lambda: statistics.align_set(features, self.data.dataset.test), 4)

    def branch_features(self, options: RankingOptions = RankingOptions()) -> BranchFeatures:
        """The features of the protocol's queries and gallery by branch, as ``options`` compare them."""
        features, key = self._chosen_features(options)
        statistics = self.statistics(options)
        return cached("branch features", key, lambda: BranchFeatures.of(features, self.split, statistics), most=4)

    def evaluation(
        self, options: RankingOptions = RankingOptions(), progress_callback: Progress | None = None
    ) -> Evaluation:
        """Ranking and metrics under the protocol; ``progress_callback`` counts queries that are re-ranked."""
        spinner = None if options.re_rank else "Ranking"
        return cached("evaluations", (self, options), lambda: self._evaluate(options, progress_callback), 16, spinner)

    def ranking(self, query: int, options: RankingOptions = RankingOptions()) -> Ranking:
        """The ranking of the split's query at that position, alone: the only row is row 0.

        Without labels it is made for this query when it is asked for, since there is nothing to score over all of them.
        """
        if self.split.is_labelled:
            return self.evaluation(options).ranking.take([query])
        return cached("rankings", (self, options, query), lambda: self._rank_alone(query, options), 64, "Ranking")

    @property
    def made_evaluation(self) -> Evaluation | None:
        """The :meth:`evaluation` where it has been made."""
        return cached_value("evaluations", (self, RankingOptions()))

    @property
    def seen_in_training(self) -> SeenInTraining | None:
        """How much of the data set the network was trained on; None where its checkpoint, or the uploads, do not say."""
        if not self.has_network or self.data.is_uploaded:
            return None
        key = (self.hash, self.data)
        return cached("seen", key, lambda: seen_by(self.source.info, self.data.dataset, self.data.hash))

    # Pictures that a viewer uploads, cached in the viewer's session alone

    def embed(self, pictures: Sequence[Image.Image], progress_callback: Progress | None = None) -> torch.Tensor:
        """(N, D) float32, not normalised, each picture computed once a session."""
        rows = session_values()
        keys = [content_key(("embedding", self.hash, picture)) for picture in pictures]
        new = [(key, picture) for key, picture in dict(zip(keys, pictures, strict=True)).items() if key not in rows]
        for start in range(0, len(new), BATCH):
            batch_keys, batch = zip(*new[start : start + BATCH])
            rows |= dict(zip(batch_keys, self.predictor.embed(batch), strict=True))
            if progress_callback:
                progress_callback(start + len(batch), len(new))
        return torch.stack([rows[key] for key in keys])

    def embed_uploads(self, images: Sequence[UploadedImage], progress_callback: Progress | None = None) -> torch.Tensor:
        """As :meth:`embed`; of no more than :data:`BATCH` images F_G is kept, from which their maps are computed too."""
        if len(images) <= BATCH:
            return torch.stack([view.embedding() for view in self.views(images)])
        return self.embed([image.picture for image in images], progress_callback)

    def upload_statistics(self, gallery: torch.Tensor, cameras: Sequence[str | None]) -> CameraStatistics | None:
        """The camera statistics for an uploaded gallery, embeddings (N, D) by the uploads' cameras; None for raw features.

        The prior, and what pictures without a camera are aligned by, is the whole of :meth:`statistics`.
        """
        statistics = self.statistics()
        return None if statistics is None else statistics.with_cameras(gallery, cameras)

    def rank(self, embeddings: torch.Tensor, cameras: Sequence[str | None]) -> list[RankedImage]:
        """The gallery by cosine to the query, aligned where the model is: embeddings (1 + N, D), the query's first."""
        statistics = self.upload_statistics(embeddings[1:], cameras[1:])
        if statistics is not None:
            embeddings = statistics.align(embeddings, cameras)
        return rank_by_cosine(embeddings[0], embeddings[1:])

    def session_view(self, picture: Image.Image) -> ImageView:
        """An uploaded picture in the network, cached in the session; 2 MB at 256 pixels."""
        return session_cached(("view", self.hash, picture), lambda: self.predictor.set_image(picture))

    # How the above are made

    def _chosen_features(self, options: RankingOptions) -> tuple[FeatureSet, tuple]:
        """The raw features of the chosen branches, and their key in the caches."""
        features = options.ranked_features(self.features(settings=options.extraction))
        return features, (self, tuple(features.branch_dims), options.flip_test, options.unit_length)

    def _load(self) -> Predictor:
        check_installation()
        checkpoint = load_checkpoint(self.source.path)
        if checkpoint.hash != self.hash:
            raise CheckpointError(f"{self.source.path} was rewritten while this page looked at it; reload the page.")
        return Predictor(checkpoint.model.to(resolve_device()), checkpoint.info.image_size, checkpoint.record)

    def _features_key(self, settings: ExtractSettings) -> tuple:
        return self.hash, self.data, settings if self.has_network else None

    def _features_on_disk(self, settings: ExtractSettings) -> FeatureSet | None:
        if isinstance(self.source, ImportedModel):
            return self.source.features()
        if self.data.is_uploaded:
            return None
        return find_features(places.feature_folders(), self._record(settings))

    def _record(self, settings: ExtractSettings) -> Record:
        return feature_record(self.made_by(settings), self.data.dataset, self.data.hash)

    def _extract(self, settings: ExtractSettings, progress_callback: Progress | None) -> FeatureSet:
        def extraction(partial: RestorableFeatures) -> FeatureSet:
            return extract(
                self.network,
                self.data.dataset.test,
                settings,
                self.source.info.image_size,
                self.predictor.device,
                progress=counted(progress_callback),
                partial=partial,
                among=(),  # what else is bad is looked for behind a bar of its own
            )

        if self.data.is_uploaded:
            return extraction(RowsInSession(self.hash, settings)).rounded()
        return extract_and_keep(places.ROOT / KEPT, self._record(settings), self.made_by(settings), extraction)

    def _rank_alone(self, query: int, options: RankingOptions) -> Ranking:
        if options.expansion is None and not options.re_rank:
            return self.branch_features(options).rank(query)
        split = self.split
        return ranked(
            options.ranked_features(self.features(settings=options.extraction)),
            replace(split, query=(split.query[query],)),
            re_rank=ReRankSettings() if options.re_rank else None,
            expansion=options.expansion,
            alignment=self.statistics(options),
            top_k=LONGEST_LIST,
        )

    def _evaluate(self, options: RankingOptions, progress_callback: Progress | None) -> Evaluation:
        features = self.features(settings=options.extraction)
        embedding = options.embedding(options.chosen_branches(features))
        record = self.made_by(replace(options.extraction, embedding=embedding)) | {"rounded_to": "float16"}
        seen = self.seen_in_training
        return evaluate(
            options.ranked_features(features),
            self.data.dataset,
            self.protocol,
            made_by=record | (seen.record if seen else {}),
            re_rank=ReRankSettings() if options.re_rank else None,
            expansion=options.expansion,
            alignment=self.statistics(options),
            top_k=LONGEST_LIST,
            dataset_hash=self.data.hash,
            progress_callback=progress_callback,
        )
