"""What can go wrong between a photo's bytes and its vector.

EncoderError
├── PhotoRefused            the photo; a person can mend it or leave it out
│   ├── PhotoMissing        no such file, a folder, not readable
│   ├── PhotoTooLarge       too many bytes, or too many pixels by its header
│   ├── NotAPhoto           not an image, or of a kind that is not read
│   ├── PhotoDamaged        an image that ends early or cannot be decoded
│   ├── BoxOutside          the box is not inside the photo
│   └── NoDetail            nothing to tell an animal by: flat grey, black, a few pixels
├── BundleRefused           the bundle: absent, changed, or not what it says it is
├── FeaturesDamaged         kept local features that are not what was kept; they are made again
└── RuntimeUnavailable      the chosen inference runtime is not installed or does not start
"""

from __future__ import annotations

from errors import FlukeprintError


class EncoderError(FlukeprintError):
    """No vector came of it."""


class PhotoRefused(EncoderError):
    """This photo cannot be used; others are not affected."""


class PhotoMissing(PhotoRefused):
    """No such file, a folder where a photo was expected, or one that may not be read."""


class PhotoTooLarge(PhotoRefused):
    """More bytes or more pixels than the limits allow; nothing was decoded."""


class NotAPhoto(PhotoRefused):
    """Not an image, or an image of a kind that is not read."""


class PhotoDamaged(PhotoRefused):
    """An image by its header, but it ends early or cannot be decoded."""


class BoxOutside(PhotoRefused):
    """The box does not lie inside the photo."""


class NoDetail(PhotoRefused):
    """Too little in it to tell an animal by."""


class BundleRefused(EncoderError):
    """The bundle is absent, was changed, or does not do what its contract says."""


class FeaturesDamaged(EncoderError):
    """Kept local features that cannot be read; making them again from the photo mends it."""


class RuntimeUnavailable(EncoderError):
    """The chosen inference runtime is not installed or does not start."""
