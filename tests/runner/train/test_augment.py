import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from runner.data import Augment
from runner.train.augment import augmented
from tests.made.pixels import pixels


def crop_places(padding: int, size: int, num_images: int) -> list[tuple[int, int]]:
    """Where each crop of one image came from, each found by comparing with every slice."""
    image = pixels(1, 2, size, size)
    draws = torch.Generator().manual_seed(1)
    crops = augmented(image.repeat(num_images, 1, 1, 1), Augment(crop_padding=padding), draws)
    padded = F.pad(image, (padding,) * 4)[0].float() / 255
    slices = {
        (y, x): padded[:, y : y + size, x : x + size]
        for y in range(2 * padding + 1)
        for x in range(2 * padding + 1)
    }
    found = [[at for at, s in slices.items() if torch.equal(s, crop)] for crop in crops]
    assert all(len(places) == 1 for places in found)
    return [places[0] for places in found]


def test_every_crop_is_one_slice_of_the_padded_image_and_all_places_are_equally_likely():
    places = crop_places(padding=2, size=6, num_images=1000)
    counts = [places.count((y, x)) for y in range(5) for x in range(5)]
    assert sum(counts) == 1000
    assert stats.chisquare(counts).pvalue > 0.01


def test_the_offsets_of_neighbouring_images_are_independent():
    places = crop_places(padding=1, size=4, num_images=900)
    pairs = [(a[0], b[0]) for a, b in zip(places[::2], places[1::2], strict=True)]
    counts = [pairs.count((a, b)) for a in range(3) for b in range(3)]
    assert stats.chisquare(counts).pvalue > 0.01


def test_a_flip_mirrors_left_and_right_and_falls_on_half_of_the_images():
    image = pixels(1, 3, 5, 4)
    shown = augmented(
        image.repeat(1000, 1, 1, 1), Augment(flip=True), torch.Generator().manual_seed(2)
    )
    plain, mirrored = image[0].float() / 255, image[0].flip(2).float() / 255
    flipped = sum(torch.equal(one, mirrored) for one in shown)
    assert flipped + sum(torch.equal(one, plain) for one in shown) == 1000
    assert stats.binomtest(flipped, 1000).pvalue > 0.01


def test_crop_and_flip_together_are_the_flipped_slice_of_a_slow_oracle():
    images = pixels(40, 3, 7, 5)
    shown = augmented(images, Augment(crop_padding=3, flip=True), torch.Generator().manual_seed(3))
    padded = F.pad(images, (3,) * 4).float() / 255
    for one, whole in zip(shown, padded, strict=True):
        legal = [whole[:, y : y + 7, x : x + 5] for y in range(7) for x in range(7)]
        assert any(torch.equal(one, s) or torch.equal(one, s.flip(2)) for s in legal)


def test_flip_and_crop_place_are_independent():
    image = pixels(1, 1, 6, 6)
    draws = torch.Generator().manual_seed(4)
    shown = augmented(image.repeat(800, 1, 1, 1), Augment(crop_padding=1, flip=True), draws)
    padded = F.pad(image, (1,) * 4)[0].float() / 255
    counts = [
        [
            sum(torch.equal(one, s.flip(2) if flip else s) for one in shown)
            for y in range(3)
            for x in range(3)
            for s in (padded[:, y : y + 6, x : x + 6],)
        ]
        for flip in (False, True)
    ]
    assert sum(map(sum, counts)) == 800
    assert stats.chisquare(counts[0] + counts[1]).pvalue > 0.01


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    images, augment = pixels(16, 3, 8, 8), Augment(crop_padding=2, flip=True)

    def shown(seed: int) -> torch.Tensor:
        return augmented(images, augment, torch.Generator().manual_seed(seed))

    assert torch.equal(shown(7), shown(7))
    assert not torch.equal(shown(7), shown(8))


def test_global_random_state_is_neither_read_nor_moved():
    images, augment = pixels(8, 1, 8, 8), Augment(crop_padding=2, flip=True)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = augmented(images, augment, torch.Generator().manual_seed(5))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(first, augmented(images, augment, torch.Generator().manual_seed(5)))


def test_an_images_draw_does_not_depend_on_what_the_other_images_are():
    images, others = pixels(8, 3, 8, 8), pixels(8, 3, 8, 8, seed=1)
    others[5] = images[5]
    augment = Augment(crop_padding=4, flip=True)
    a, b = (augmented(i, augment, torch.Generator().manual_seed(6)) for i in (images, others))
    assert torch.equal(a[5], b[5])
    assert not torch.equal(a[4], b[4])


def test_no_augmentation_is_the_conversion_alone_and_draws_nothing():
    images, draws = pixels(4, 3, 8, 8), torch.Generator().manual_seed(0)
    before = draws.get_state()
    assert torch.equal(augmented(images, Augment(), draws), images.float() / 255)
    assert torch.equal(draws.get_state(), before)


@pytest.mark.parametrize("augment", [Augment(), Augment(flip=True), Augment(crop_padding=2)])
def test_a_batch_is_float32_in_channels_last_memory(augment: Augment):
    shown = augmented(pixels(4, 3, 8, 8), augment, torch.Generator().manual_seed(0))
    assert shown.dtype == torch.float32
    assert shown.is_contiguous(memory_format=torch.channels_last)
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_augmenting_leaves_the_stored_images_as_they_were():
    images = pixels(4, 3, 8, 8)
    before = images.clone()
    augmented(images, Augment(crop_padding=2, flip=True), torch.Generator().manual_seed(0))
    assert torch.equal(images, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_cpu_generator_draws_the_same_batch_on_a_gpu():
    images, augment = pixels(64, 3, 32, 32), Augment(crop_padding=4, flip=True)
    there, here = (
        augmented(images.to(device), augment, torch.Generator().manual_seed(1))
        for device in ("cuda", "cpu")
    )
    assert torch.equal(there.cpu(), here)
