from dataclasses import replace
from pathlib import Path

import pytest

from ssrnet.errors import SettingsError
from ssrnet.losses import LossSettings
from ssrnet.training.settings import OptimiserSettings, recipe


def test_the_paper_recipe_is_section_4_2():
    paper = recipe("paper")
    optimiser = paper.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.weight_decay) == ("sgd", 1e-4, 5e-4)
    assert (optimiser.warmup_epochs, optimiser.decay_epoch, optimiser.new_layers) == (5, 15, 1)
    assert (paper.identities_per_batch, paper.images_per_identity) == (8, 4)
    assert (paper.loss.title, paper.loss.margin, paper.loss.beta) == ("cross_entropy+triplet", 0.5, 1)
    assert paper.loss.label_smoothing == 0
    assert paper.sizes == ((0, 256),) and paper.final_image_size == 256
    assert paper.augment.flip == 0.5 and paper.augment.pad > 0 and paper.augment.erase == paper.augment.colour == 0
    assert (paper.frozen_stages, paper.backbone_weights) == (0, "imagenet")
    assert (paper.model.backbone, paper.model.crop_ratio, paper.model.gcn_depth) == ("resnet50", 2 / 3, 2)
    assert (optimiser.momentum, paper.epochs) == (0.9, 60)  # ours: the paper names none


def test_the_quick_recipe_starts_small_and_freezes_up_to_layer2():
    quick = recipe("quick")
    assert quick.sizes[0][1] < quick.final_image_size and quick.frozen_stages == 3 and quick.recipe == "quick"


def test_the_strong_recipe_is_todays_baselines():
    strong, paper = recipe("strong"), recipe("paper")
    optimiser = strong.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.new_layers) == ("adamw", 3.5e-4, 2)
    assert 0 < optimiser.warmup_epochs < optimiser.decay_epoch < strong.epochs and 60 <= strong.epochs <= 120
    assert strong.loss.label_smoothing == 0.1 and strong.augment.erase == 0.5 and strong.augment.colour > 0
    assert (strong.identities_per_batch, strong.images_per_identity) == (16, 4)
    kept = ("model", "sizes", "frozen_stages", "epoch_over", "backbone_weights")
    assert all(getattr(strong, name) == getattr(paper, name) for name in kept)
    assert (strong.loss.title, strong.loss.margin, strong.loss.beta) == (paper.loss.title, 0.5, 1)


def test_the_shipped_recipe_is_strong_but_for_its_schedule_and_colour():
    shipped, strong = recipe("shipped"), recipe("strong")
    assert (
        replace(
            shipped,
            recipe="strong",
            augment=strong.augment,
            optimiser=strong.optimiser,
            epochs=strong.epochs,
            holdout=0,
        )
        == strong
    )
    assert (shipped.epochs, shipped.optimiser.warmup_epochs, shipped.optimiser.decay_epoch) == (36, 2, 9)
    assert shipped.holdout == 100 and shipped.sizes == ((0, 256),)


@pytest.mark.parametrize("name", ["paper", "strong", "quick", "shipped", "healed"])
def test_networks_differ_in_their_branches_alone(name):
    ssrnet, baseline = recipe(name), recipe(name, "baseline")
    assert ssrnet.model.attention_branch and ssrnet.model.relation_branch
    assert not baseline.model.attention_branch and not baseline.model.relation_branch
    assert replace(baseline, model=ssrnet.model, network="ssrnet") == ssrnet


def test_the_image_size_of_an_epoch():
    settings = replace(recipe("quick"), sizes=((0, 64), (3, 96), (5, 128)))
    assert [settings.image_size(epoch) for epoch in range(7)] == [64, 64, 64, 96, 96, 128, 128]
    assert settings.final_image_size == 128


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": ()}, "epochs rising from 0"),
        ({"sizes": ((1, 64),)}, "epochs rising from 0"),
        ({"sizes": ((0, 64), (5, 96), (3, 128))}, "epochs rising from 0"),
        ({"sizes": ((0, 64), (0, 128))}, "epochs rising from 0"),
        ({"sizes": ((0, 16),)}, "at least 32 pixels a side"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
        ({"identities_per_batch": 0}, "identities_per_batch is 0"),
        ({"images_per_identity": -1}, "images_per_identity is -1"),
        ({"identities_per_batch": 1, "images_per_identity": 1}, "are both 1; batch norm needs at least two images"),
        ({"identities_per_batch": 1}, r"identities_per_batch is 1 and .* is 2; cross_entropy\+triplet needs"),
        ({"images_per_identity": 1}, r"is 16 and images_per_identity is 1; .* needs at least 2 of each"),
        ({"holdout": 1}, "holdout is 1; ranking one identity says nothing"),
        ({"holdout": -3}, "holdout is -3"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_steps": -1}, "max_steps is -1"),
        ({"workers": -1}, "workers is -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_cannot_work(changes, message):
    with pytest.raises(SettingsError, match=message):
        replace(recipe("quick"), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0}, "learning_rate is 0; it must be above 0"),
        ({"momentum": -0.1}, "momentum is -0.1"),
        ({"weight_decay": -1}, "weight_decay is -1"),
    ],
)
def test_optimisers_that_cannot_work(changes, message):
    with pytest.raises(SettingsError, match=message):
        OptimiserSettings(**changes)


def test_data_and_out_are_left_to_the_user():
    assert recipe("paper").data == recipe("paper").out == Path()


def test_losses_without_pairs_take_one_image_a_vehicle():
    for metric in ("none", "instance"):
        loss = LossSettings(metric=metric)
        assert replace(recipe("quick"), images_per_identity=1, loss=loss).images_per_identity == 1
