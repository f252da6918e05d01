"""Fluorescence images of nuclei, drawn with their masks.

Every picture is a function of its random generator alone. Lengths are in pixels, brightness is in
photons until the camera turns it into counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_nuclei"]

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]
Image = NDArray[np.uint16]
Generator = np.random.Generator

OUTLINE = 0.9
"""Squared radius of the mask, where the light ends at 1: people leave the faint rim out."""


@dataclass(frozen=True)
class Nucleus:
    """Where one nucleus lies, how it is shaped and how bright it is relative to the others."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle: float
    waves: tuple[tuple[int, float, float], ...]
    brightness: float
    dome: float


@dataclass(frozen=True)
class Look:
    """What all nuclei of one image share."""

    diameter: float
    diameter_spread: float
    brightness_spread: float
    bright_share: float
    roughness: float
    texture: float
    coverage: float
    clustering: float
    overlap: float


def draw_nuclei(rng: Generator, shape: tuple[int, int]) -> tuple[Image, Mask]:
    """One image of nuclei as a camera would record it, and where the nuclei are."""
    look = random_look(rng)
    nuclei, mask = place_nuclei(rng, shape, look)
    grain = smooth_noise(rng, shape, look.diameter * rng.uniform(0.04, 0.12))
    return record(rng, nuclei * np.exp(look.texture * grain), look.diameter), mask


def random_look(rng: Generator) -> Look:
    """What the nuclei of one image have in common: sparse or crowded, even or not, large or not."""
    return Look(
        diameter=log_uniform(rng, 10, 44),
        diameter_spread=rng.uniform(0.05, 0.25),
        brightness_spread=rng.uniform(0.1, 0.6),
        bright_share=rng.uniform(0.01, 0.12) * rng.integers(2),
        roughness=rng.uniform(0.0, 0.12),
        texture=rng.uniform(0.02, 0.3),
        coverage=rng.uniform(0.03, 0.5),
        clustering=rng.uniform(0.0, 0.9),
        overlap=rng.uniform(0.0, 0.2),
    )


def place_nuclei(rng: Generator, shape: tuple[int, int], look: Look) -> tuple[Field, Mask]:
    """Add nuclei, many of them touching, until they cover the wanted share of the image.

    Returns:
        The light of all nuclei, which adds up where they overlap, and the mask.
    """
    light, mask = np.zeros(shape), np.zeros(shape, bool)
    placed: list[Nucleus] = []
    tries = int(3 * look.coverage * mask.size / look.diameter**2) + 10
    for _ in range(tries):
        if mask.mean() >= look.coverage:
            break
        nucleus = random_nucleus(rng, look, random_centre(rng, shape, look, placed))
        window = window_of(nucleus, shape)
        added, inside = shape_of(nucleus, window)
        if not inside.any() or (inside & mask[window]).sum() > look.overlap * inside.sum():
            continue
        light[window] += added
        mask[window] |= inside
        placed.append(nucleus)
    return light, mask


def random_centre(
    rng: Generator, shape: tuple[int, int], look: Look, placed: list[Nucleus]
) -> tuple[float, float]:
    """Anywhere, nuclei cut by the border included, or about one diameter from another nucleus."""
    if placed and rng.random() < look.clustering:
        y, x = placed[rng.integers(len(placed))].centre
        distance, angle = look.diameter * rng.uniform(0.7, 1.2), rng.uniform(0, 2 * np.pi)
        return y + distance * np.sin(angle), x + distance * np.cos(angle)
    margin = look.diameter / 3
    return rng.uniform(-margin, shape[0] + margin), rng.uniform(-margin, shape[1] + margin)


def random_nucleus(rng: Generator, look: Look, centre: tuple[float, float]) -> Nucleus:
    """A deformed ellipse, or now and then the small and very bright figure of a dividing cell."""
    dividing = rng.random() < look.bright_share
    radius = look.diameter / 2 * np.exp(look.diameter_spread * rng.standard_normal())
    radius = max(radius * (rng.uniform(0.4, 0.7) if dividing else 1.0), 3.0)
    stretch = np.sqrt(rng.uniform(1.0, 2.8 if dividing else 2.2))
    brightness = np.exp(look.brightness_spread * rng.standard_normal())
    return Nucleus(
        centre=centre,
        radii=(radius / stretch, radius * stretch),
        angle=rng.uniform(0, np.pi),
        waves=tuple(
            (k, look.roughness * rng.standard_normal() / (k - 1), rng.uniform(0, 2 * np.pi))
            for k in (2, 3, 4)
        ),
        brightness=brightness * (rng.uniform(2.0, 8.0) if dividing else 1.0),
        dome=rng.uniform(0.0, 0.4),
    )


def window_of(nucleus: Nucleus, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The part of the image that a nucleus can reach."""
    reach = 1.6 * max(nucleus.radii) + 2
    y, x = (
        slice(min(max(int(c - reach), 0), size), min(max(int(c + reach) + 1, 0), size))
        for c, size in zip(nucleus.centre, shape, strict=True)
    )
    return y, x


def shape_of(nucleus: Nucleus, window: tuple[slice, slice]) -> tuple[Field, Mask]:
    """The light and the mask of one nucleus within a window.

    The light of a sphere falls off towards its rim as sqrt(1 - r**2), that of a disc does not:
    `dome` is the exponent between the two.
    """
    y, x = np.ogrid[window]
    y, x = y - nucleus.centre[0], x - nucleus.centre[1]
    sine, cosine = np.sin(nucleus.angle), np.cos(nucleus.angle)
    v = (cosine * y - sine * x) / nucleus.radii[0]
    u = (sine * y + cosine * x) / nucleus.radii[1]
    theta = np.arctan2(v, u)
    rim = 1 + sum(size * np.cos(k * theta + phase) for k, size, phase in nucleus.waves)
    square = (u**2 + v**2) / np.clip(rim, 0.6, 1.4) ** 2
    light = nucleus.brightness * (square <= 1) * np.clip(1 - square, 0.05, 1) ** nucleus.dome
    return light, square <= OUTLINE


def record(rng: Generator, nuclei: Field, diameter: float) -> Image:
    """Light the nuclei unevenly, blur them and count the photons with a noisy camera."""
    shape = nuclei.shape
    sharp = blur(nuclei, min(rng.uniform(0.4, 2.2), diameter / 8))
    # A lens spreads some light further than a Gaussian does, and bright nuclei light up the rest.
    glow = rng.uniform(0.0, 0.5) * blur(nuclei, diameter * rng.uniform(0.1, 0.3))
    haze = rng.uniform(0.0, 0.4) * blur(nuclei, diameter * rng.uniform(0.4, 1.0))
    light = sharp + glow + haze + background(rng, shape)
    lamp = np.exp(rng.uniform(0.0, 0.25) * smooth_noise(rng, shape, max(shape) / 3))
    photons = rng.poisson(log_uniform(rng, 15, 3000) * light * lamp)
    read_noise = rng.uniform(0.5, 4.0) * rng.standard_normal(shape)
    counts = log_uniform(rng, 0.3, 15) * (photons + read_noise) + log_uniform(rng, 5, 1000)
    return np.clip(np.round(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)


def background(rng: Generator, shape: tuple[int, int]) -> Field:
    """The light between nuclei: a level, a slope and clouds, never negative."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.sin(angle) * y + np.cos(angle) * x
    clouds = smooth_noise(rng, shape, max(shape) / rng.uniform(3, 8))
    level = log_uniform(rng, 0.05, 1.0)
    uneven = rng.uniform(0.0, 0.3) * slope + rng.uniform(0.0, 0.15) * clouds
    return np.maximum(level * (1 + uneven), 0.0)


def smooth_noise(rng: Generator, shape: tuple[int, ...], sigma: float) -> Field:
    """Blurred white noise with mean 0 and standard deviation 1."""
    noise = blur(rng.standard_normal(shape), sigma)
    return (noise - noise.mean()) / noise.std()


def blur(image: Field, sigma: float) -> Field:
    """Gaussian blur that takes its weights, at the border, from within the image only."""
    rows, columns = (blur_matrix(size, sigma) for size in image.shape)
    return rows @ image @ columns.T


def blur_matrix(size: int, sigma: float) -> Field:
    """The blur of a line of pixels as a matrix: an image of some hundred pixels needs no more."""
    position = np.arange(size)
    weights = np.exp(-((position[:, None] - position) ** 2) / (2 * sigma**2))
    return weights / weights.sum(axis=1, keepdims=True)


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
