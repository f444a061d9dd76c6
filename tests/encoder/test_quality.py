"""What there is to see in a crop, and when it is too little."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from encoder_pictures import photo_like

from encoder.errors import NoDetail
from encoder.quality import measure, refuse_flat, refuse_tiny


def flat(value: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((64, 64, 3), value, np.uint8)


def test_brightness_and_contrast_by_hand() -> None:
    pixels = flat(51)
    pixels[:, 32:] = 153
    quality = measure(pixels)
    assert quality.brightness == pytest.approx(0.4)
    assert quality.contrast == pytest.approx(51)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    pixels = photo_like(80, 60)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    padded = np.pad(luma, 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * luma
    assert measure(pixels).sharpness == pytest.approx(laplacian.var() / 255**2, rel=1e-6)


def test_a_blurred_photo_is_less_sharp() -> None:
    noisy = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert measure(cv2.GaussianBlur(noisy, (5, 5), 2)).sharpness < measure(noisy).sharpness / 10


@pytest.mark.parametrize(("value", "shade"), [(0, "black"), (128, "grey"), (255, "white")])
def test_an_even_photo_is_refused_with_what_to_do(value: int, shade: str) -> None:
    with pytest.raises(NoDetail, match=f"an even {shade}.*choose a photo or a box"):
        refuse_flat(measure(flat(value)))


def test_faint_noise_on_black_is_still_no_photo_but_a_faint_gradient_is() -> None:
    noise = np.random.default_rng(2).integers(0, 3, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(NoDetail):
        refuse_flat(measure(noise))
    gradient = np.repeat(np.linspace(100, 112, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    refuse_flat(measure(gradient))


def test_a_few_pixels_are_refused() -> None:
    with pytest.raises(NoDetail, match=r"15 x 400 pixels.*larger box"):
        refuse_tiny(15, 400)
    refuse_tiny(16, 16)
