import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from ssrnet.data.augment import (
    BRIGHTNESS,
    CONTRAST,
    SATURATION,
    AugmentSettings,
    Draws,
    augment,
    draw,
    erase,
    flip_and_crop,
    jitter,
    other_cameras,
)
from ssrnet.data.transforms import normalise, pixel_transform
from ssrnet.data.transforms import test_transform as transform
from ssrnet.errors import SettingsError

MANY = 4000
PLAIN = AugmentSettings(flip=0, pad=0)


def pixels(count: int = 4, size: int = 16) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return torch.from_numpy(values)


def test_without_augmentation_it_is_the_test_transform():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    stored = pixel_transform(24)(image)
    assert stored.shape == (24, 24, 3) and stored.dtype == torch.uint8
    augmented = augment(stored[None], PLAIN, draw(1, 24, PLAIN, 0, 0, 0))
    assert torch.allclose(augmented[0], transform(24)(image), atol=1e-6)
    assert augmented.dtype == torch.float32 and augmented.is_contiguous(memory_format=torch.channels_last)


def test_flip_and_crop_are_torchvisions_image_by_image():
    images, pad = pixels(6), 3
    flip = torch.tensor([0, 1, 0, 1, 1, 0]).bool()
    offset = torch.tensor([(0, 0), (0, 6), (6, 0), (2, 5), (3, 3), (6, 6)])
    ours = flip_and_crop(images, pad, flip, offset)
    for i, image in enumerate(images.permute(0, 3, 1, 2)):
        image = F.horizontal_flip(image) if flip[i] else image
        top, left = offset[i].tolist()
        assert torch.equal(ours[i], F.crop(F.pad(image, [pad]), top, left, 16, 16))


def test_colour_is_torchvisions_in_each_images_order():
    images = pixels(6).permute(0, 3, 1, 2).float() / 255
    order = torch.tensor([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
    factor = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    ours = jitter(images, order, factor)
    steps = {BRIGHTNESS: F.adjust_brightness, CONTRAST: F.adjust_contrast, SATURATION: F.adjust_saturation}
    for i, image in enumerate(images):
        for step in order[i].tolist():
            image = steps[step](image, factor[i, step].item())
        assert torch.allclose(ours[i], image, atol=1e-5)
    assert torch.allclose(jitter(images, order, torch.ones(6, 3)), images, atol=1e-6)


def test_erasing_sets_one_box_an_image_to_the_mean_colour():
    images = torch.ones(3, 3, 8, 8)
    erased = erase(images, torch.tensor([(0, 0, 0, 0), (1, 2, 4, 8), (7, 0, 8, 1)]))
    assert erased[0].eq(1).all() and images.eq(1).all()
    assert erased[1, :, 1:4, 2:].eq(0).all() and erased[1].eq(0).sum() == 3 * 3 * 6
    assert erased[2, :, 7, 0].eq(0).all() and erased[2].eq(0).sum() == 3
    settings = AugmentSettings(flip=0, pad=0, erase=1.0)
    draws = draw(1, 16, settings, 0, 0, 0)
    top, left, bottom, right = draws.erased[0].tolist()
    out = augment(pixels(1), settings, draws)[0]
    assert bottom > top and right > left and out[:, top:bottom, left:right].eq(0).all()
    whole = normalise(pixels(1)[0].permute(2, 0, 1) / 255)
    assert torch.allclose(out[out != 0], whole[out != 0])


def test_flips_come_as_often_as_asked_and_offsets_evenly():
    draws = draw(MANY, 32, AugmentSettings(flip=0.3, pad=2), 0, 0, 0)
    assert draws.flip.float().mean() == pytest.approx(0.3, abs=0.03)
    for axis in range(2):
        shares = draws.offset[:, axis].bincount(minlength=5) / MANY
        assert torch.allclose(shares, torch.full((5,), 0.2), atol=0.03)
    assert torch.corrcoef(draws.offset.T.float())[0, 1].abs() < 0.05
    assert not draw(MANY, 32, AugmentSettings(flip=0, pad=0), 0, 0, 0).flip.any()
    assert draw(MANY, 32, AugmentSettings(flip=1), 0, 0, 0).flip.all()


def test_colour_factors_are_even_around_one_and_all_orders_come():
    draws = draw(MANY, 32, AugmentSettings(colour=0.4), 0, 0, 0)
    for factors in draws.colour_factor.T:
        assert 0.6 <= factors.min() < 0.61 and 1.39 < factors.max() <= 1.4
        assert factors.mean() == pytest.approx(1, abs=0.02)
    orders, counts = draws.colour_order.unique(dim=0, return_counts=True)
    assert len(orders) == 6 and torch.allclose(counts / MANY, torch.full((6,), 1 / 6), atol=0.03)
    assert draw(8, 32, PLAIN, 0, 0, 0).colour_factor.eq(1).all()


def test_erased_boxes_are_distributed_as_torchvisions():
    boxes = draw(MANY, 64, AugmentSettings(erase=0.5), 0, 0, 0).erased
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    drawn = heights > 0
    assert drawn.float().mean() == pytest.approx(0.5, abs=0.03) and torch.equal(drawn, widths > 0)
    assert boxes.min() >= 0 and boxes[:, 2:].max() <= 64
    theirs = v2.RandomErasing(1.0, scale=(0.02, 0.4), value=0)
    torch.manual_seed(0)
    found = [theirs.make_params([torch.zeros(3, 64, 64)]) for _ in range(MANY)]
    ours = {"i": boxes[drawn, 0], "j": boxes[drawn, 1], "h": heights[drawn], "w": widths[drawn]}
    for name, values in ours.items():
        expected = torch.tensor([params[name] for params in found]).float()
        values = values.float()
        assert values.mean() == pytest.approx(expected.mean().item(), rel=0.05)
        assert values.std() == pytest.approx(expected.std().item(), rel=0.06)


def wild(count: int, size: int = 16, **changes) -> Draws:
    """Draws in which ``other_cameras`` changes nothing, but for ``changes``."""
    still = dict(
        gain=torch.ones(count, 3),
        gamma=torch.ones(count),
        grey=torch.zeros(count).bool(),
        side=torch.full((count,), size),
        noise=torch.zeros(count),
        noise_offset=torch.zeros(count, 2).long(),
    )
    return draw(count, size, PLAIN, 0, 0, 0)._replace(**(still | changes))


def test_each_step_of_other_cameras_alone():
    images = (pixels(2).permute(0, 3, 1, 2).float() / 255).clamp(0.05, 0.8)

    def out(**changes):
        draws = wild(2, **changes)
        return other_cameras(images, draws, draws.side.tolist())

    assert torch.allclose(out(), images, atol=1e-6)
    gain = torch.tensor([(1.1, 1.0, 0.9), (1.0, 1.0, 1.0)])
    assert torch.allclose(out(gain=gain), images * gain[:, :, None, None], atol=1e-6)
    assert torch.allclose(out(gamma=torch.tensor([2.0, 1.0]))[0], images[0] ** 2, atol=1e-6)
    grey = out(grey=torch.tensor([True, False]))
    assert torch.allclose(grey[0], F.rgb_to_grayscale(images[0], 3), atol=1e-4) and torch.allclose(grey[1], images[1])
    few = out(side=torch.tensor([8, 16]))
    small = F.resize(images[:1], [8, 8], antialias=True)
    assert torch.allclose(few[:1], F.resize(small, [16, 16], antialias=False), atol=1e-5)
    assert torch.allclose(few[1], images[1], atol=1e-6)
    noise = out(noise=torch.tensor([0.02, 0.02]), noise_offset=torch.tensor([(0, 0), (3, 5)])) - images
    assert noise.std().item() == pytest.approx(0.02, rel=0.1) and abs(noise.mean().item()) < 0.003
    assert torch.allclose(noise[0].roll((-3, -5), (1, 2)), noise[1], atol=1e-6)


def test_other_cameras_come_as_often_as_said_and_change_no_other_draw():
    size, settings = 64, AugmentSettings(erase=0.5, colour=0.2)
    draws = draw(MANY, size, settings, 0, 0, 0)
    shares = {0.5: (draws.gain != 1).any(1), 0.15: draws.grey, 0.32: draws.side < size, 0.3: draws.noise > 0}
    for share, happened in shares.items():
        assert happened.float().mean() == pytest.approx(share, abs=0.03)
    assert 0.88 <= draws.gain.min() and draws.gain.max() <= 1.12 and draws.noise.max() <= 0.04
    assert 0.65 <= draws.gamma.min() and draws.gamma.max() <= 1.55
    assert set(draws.side.tolist()) == {14, 21, 32, 64}
    images = pixels(8)
    plain = augment(images, settings, draw(8, 16, settings, 0, 0, 0))
    other = augment(images, AugmentSettings(erase=0.5, colour=0.2, wild=True), draw(8, 16, settings, 0, 0, 0))
    assert not torch.allclose(plain, other) and torch.equal(plain == 0, other == 0)


def test_the_draws_depend_on_seed_epoch_and_step_alone():
    settings = AugmentSettings(erase=0.5, colour=0.2)
    first = draw(8, 32, settings, 1, 2, 3)
    torch.manual_seed(7)
    np.random.seed(7)
    again = draw(8, 32, settings, 1, 2, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert not torch.equal(first.colour_factor, draw(8, 32, settings, *other).colour_factor)


def test_a_part_of_a_batch_is_augmented_as_in_the_whole():
    settings, images = AugmentSettings(pad=3, erase=0.5, colour=0.3), pixels(8)
    draws = draw(8, 16, settings, 0, 0, 0)
    whole = augment(images, settings, draws)
    assert isinstance(draws.share(slice(2, 6)), Draws)
    assert torch.allclose(augment(images[2:6], settings, draws.share(slice(2, 6))), whole[2:6], atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("flip", 1.1), ("erase", -0.1), ("colour", 2), ("pad", -1)])
def test_settings_that_cannot_work(name, value):
    with pytest.raises(SettingsError, match=f"augment.{name} is {value}"):
        AugmentSettings(**{name: value})
