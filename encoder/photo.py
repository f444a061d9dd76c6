"""Photo bytes to pixels: the one path that training, indexing and serving share.

Reads JPEG, PNG, WebP, TIFF and BMP, of 1 to 16 bits, grey, palette, CMYK or with alpha, the first frame of those that hold
several, upright by EXIF. Any bytes give pixels or a `PhotoRefused`, and memory is bounded by the header's size, which is
checked before anything is decoded: up to 9 bytes a pixel, far less for a JPEG that is reduced. Transparency is laid over
mid-grey, which is near 0 once normalised: neither a bright nor a dark background is learnt. Colour profiles are not applied.
JPEGs are decoded at 1/2, 1/4 or 1/8 where the crop keeps at least twice the size that it will be scaled to (embedding
similarity .996 and up; below the target it breaks, .54).
"""

from __future__ import annotations

import io
import stat
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import BmpImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from .errors import BoxOutside, NotAPhoto, PhotoDamaged, PhotoMissing, PhotoTooLarge
from .header import Header
from .values import DEFAULT_LIMITS, Box, Limits, Pixels

BACKDROP = 128
STRIP = 64  # rows
OVERSAMPLING = 2  # a reduced crop keeps this many times the target, see above
JPEG_FACTORS = (1, 2, 4, 8)
JPEG_END = b"\xff\xd9"  # does not occur within coded pixels, where each ff is followed by 00
PNG_END = b"IEND"
EARLY = "premature end of data segment"  # libjpeg's words for pixels without data; of stray bytes it says otherwise
Image.MAX_IMAGE_PIXELS = None  # of all Pillow: its own limit lies below ours, which `read_header` has checked before
# Opened by kind rather than by `Image.open`, which would try every format it knows.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}
Edges = tuple[int, int, int, int]  # left, top, right, bottom in the picture as it was stored
_OPAQUE = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
_WITH_ALPHA = ("LA", "PA", "La", "RGBA", "RGBa")


def read_photo(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a photo file, or why not. Nothing is read of a file that is too large."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PhotoMissing(f"{path} is a folder where a photo was expected. Name the photos in it, or import the folder.")
        if not stat.S_ISREG(status.st_mode):
            raise PhotoMissing(f"{path} is not a file but a device or pipe. Give the path of a photo file.")
        _refuse_large(path, status.st_size, limits)
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except FileNotFoundError as error:
        raise PhotoMissing(f"{path}: there is no such file. Check the path.") from error
    except PermissionError as error:
        raise PhotoMissing(f"{path} may not be read by this user. Change its permissions, or copy it.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise PhotoMissing(f"{path} cannot be read: {error}. Copy it to another place and try again.") from error
    _refuse_large(path, len(data), limits)  # it grew meanwhile
    if not data:
        raise NotAPhoto(f"{path} has zero bytes: it was not written to its end. Copy it again from the camera.")
    return data


def _refuse_large(path: Path, size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise PhotoTooLarge(
            f"{path} has {size:,} bytes, more than the {limits.max_bytes:,} that are read. Save it smaller, or raise the limit."
        )


def decode(data: bytes, header: Header, box: Box | None = None, target: tuple[int, int] | None = None) -> Pixels:
    """The photo's pixels, or those of `box`, upright and RGB.

    `header` is what `read_header(data)` gave. With a `target` (width, height that the crop will be scaled to) the result
    may be smaller than the crop, but never less than twice the target on either side for being reduced.
    """
    crop = whole(header) if box is None else box
    check_box(crop, header)
    spare = min(crop.width / target[0], crop.height / target[1]) / OVERSAMPLING if target else 1.0
    orientation = 1 if header.format == "tiff" else header.orientation  # Pillow turns TIFFs itself
    edges = _stored(crop, header, orientation)
    if header.format == "jpeg" and header.channels in (1, 3):
        pixels = _decode_jpeg(data, header, edges, max(f for f in JPEG_FACTORS if f <= max(spare, 1)))
    else:
        pixels = _decode_other(data, header, edges, max(1, int(spare)))
    return np.ascontiguousarray(_upright(pixels, orientation))


def whole(header: Header) -> Box:
    return Box(0, 0, header.width, header.height)


def check_box(box: Box, header: Header) -> None:
    inside = box.x >= 0 and box.y >= 0 and box.x + box.width <= header.width and box.y + box.height <= header.height
    if not inside or box.width < 1 or box.height < 1:
        raise BoxOutside(
            f"The box {box.x},{box.y},{box.width},{box.height} does not lie inside the photo of "
            f"{header.width} x {header.height} pixels. Give x,y,width,height in pixels of the upright photo, from its top left."
        )


def _decode_jpeg(data: bytes, header: Header, edges: Edges, factor: int) -> Pixels:
    """The crop of a JPEG at 1/factor. What ends early is refused: the decoder would fill it up with grey."""
    if data.rfind(JPEG_END) < header.pixels_at:  # sought from its end: from the front that takes a fourteenth of the decoding
        raise PhotoDamaged("The photo ends early: its last part is missing. Copy it again from the camera.")
    pixels = _reduced_jpeg(data, header, factor)
    if pixels is None:
        raise PhotoDamaged("The photo is a JPEG by its header, but cannot be decoded. Save it again with another program.")
    if (pixels[-1, -1] == 128).all() and pixels.min() != pixels.max():
        # The grey of missing pixels, or a grey corner? More code before the end mark changes only what was missing.
        end = data.find(JPEG_END, header.pixels_at)
        longer = _reduced_jpeg(data[:end] + b"\xa5\x5a\x3c" * 8 + JPEG_END, header, factor)
        if longer is None or not np.array_equal(pixels, longer):
            raise PhotoDamaged("The photo ends early, though it was closed: its last part is missing. Copy it again.")
    left, top, right, bottom = (round(edge / factor) for edge in edges)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


def _reduced_jpeg(data: bytes, header: Header, factor: int, colours: str = "RGB") -> Pixels | None:
    """All of it at 1/factor; None where it cannot be decoded. What is missing of a progressive or CMYK one shows no grey that
    could be told: there the decoder's own word is taken.

    By libjpeg-turbo, as in OpenCV, which gives the same pixels in the same time, but tells stderr of every byte out of place.
    """
    width, height = (-(-side // factor) for side in header.stored)
    for strict in (True, False) if header.progressive or header.channels == 4 else (False,):
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width, strict=strict)
        except (ValueError, MemoryError) as error:
            if strict and EARLY in str(error):
                raise PhotoDamaged("The photo ends early: its last part is missing. Copy it again from the camera.") from error
            continue
        return pixels if pixels.shape[:2] == (height, width) else None
    return None


def _decode_other(data: bytes, header: Header, edges: Edges, factor: int) -> Pixels:
    """The crop of any other photo, averaged to 1/factor so that a large one is not held twice."""
    try:
        with _PLUGINS[header.format](io.BytesIO(data)) as image:
            expected = (header.width, header.height) if header.format == "tiff" else header.stored
            _refuse_other_size(image, expected)
            if image.mode not in (*_OPAQUE, *_WITH_ALPHA) and not image.mode.startswith("I;16"):
                raise NotAPhoto(
                    f"The photo's colours are of the kind {image.mode}, which is not read. "
                    "Save it in RGB with 8 or 16 bits a channel."
                )
            if header.format == "png" and data.rfind(PNG_END) < 0:
                raise PhotoDamaged("The photo ends early: its last part is missing. Copy it again from the camera.")
            if header.format != "webp" and _covered(image) < image.width * image.height:
                raise PhotoDamaged("The photo ends early: strips of it are missing. Copy it again from the camera.")
            if header.format == "jpeg":  # CMYK, which Pillow decodes, and fills up without a word
                _reduced_jpeg(data, header, JPEG_FACTORS[-1], "CMYK")
            image.info.pop("xmp", None)  # by whose orientation Pillow would turn a TIFF: EXIF's alone counts, in every kind
            image.load()
            _refuse_other_size(image, expected)
            return _rgb(image, edges, factor)
    except (PhotoDamaged, NotAPhoto):
        raise
    except MemoryError as error:
        raise PhotoTooLarge("There is not enough memory to decode this photo. Save it smaller and try again.") from error
    except Exception as error:  # each decoder raises what it likes: OSError, SyntaxError, ValueError, struct.error …
        if str(error) == "unknown pixel mode":  # a whole TIFF of a kind that Pillow does not know, such as float32 in RGB
            raise NotAPhoto(
                "The photo is a TIFF whose pixels are of a kind that is not read. Save it in RGB with 8 or 16 bits a channel."
            ) from error
        raise PhotoDamaged(
            f"The photo is a {header.format.upper()} by its header, but cannot be decoded ({error}). "
            "Copy it again, or save it again with another program."
        ) from error


def _refuse_other_size(image: Image.Image, expected: tuple[int, int]) -> None:
    if image.size != expected:
        raise PhotoDamaged(
            f"The photo's header says {expected} pixels, its picture {image.size}. Save it again with another program."
        )


def _covered(image: ImageFile.ImageFile) -> int:
    """Pixels that the file has data for; Pillow would leave the others black. (A WebP's are not listed.)"""
    extents = [tile.extents or (0, 0, *image.size) for tile in image.tile]
    return sum((right - left) * (bottom - top) for left, top, right, bottom in extents)


def _rgb(image: Image.Image, edges: Edges, factor: int) -> Pixels:
    """8-bit RGB of the crop at 1/factor, transparency laid over the backdrop."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    see_through = image.mode in _WITH_ALPHA or "transparency" in image.info
    mode = "RGBA" if see_through else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if factor > 1:
        left, top, right, bottom = edges
        right, bottom = _whole_steps(left, right, image.width, factor), _whole_steps(top, bottom, image.height, factor)
        image = image.reduce(factor, (left, top, right, bottom))
        edges = (0, 0, image.width, image.height)
    left, top, right, bottom = edges
    pixels = np.empty((bottom - top, right - left, 3), np.uint8)
    for start in range(top, bottom, STRIP):  # numpy would copy all of it twice at once
        rows = np.asarray(image.crop((left, start, right, min(start + STRIP, bottom))))
        pixels[start - top : start - top + len(rows)] = _over_backdrop(rows) if see_through else rows
    return pixels


def _over_backdrop(rows: npt.NDArray[np.uint8]) -> Pixels:
    colour, alpha = rows[:, :, :3].astype(np.uint16), rows[:, :, 3:].astype(np.uint16)
    return ((colour * alpha + BACKDROP * (255 - alpha) + 127) // 255).astype(np.uint8)


def _whole_steps(start: int, end: int, most: int, factor: int) -> int:
    """The end nearest to `end` that is a whole number of steps from the start: a part of a step would count as a whole one."""
    nearest = start + round((end - start) / factor) * factor
    return nearest if nearest <= most else nearest - factor


def _stored(box: Box, header: Header, orientation: int) -> Edges:
    """The upright box's left, top, right, bottom in the picture as it was stored."""
    x0, y0, x1, y1 = box.x, box.y, box.x + box.width, box.y + box.height
    width, height = header.width, header.height
    return {
        1: (x0, y0, x1, y1),
        2: (width - x1, y0, width - x0, y1),
        3: (width - x1, height - y1, width - x0, height - y0),
        4: (x0, height - y1, x1, height - y0),
        5: (y0, x0, y1, x1),
        6: (y0, width - x1, y1, width - x0),
        7: (height - y1, width - x1, height - y0, width - x0),
        8: (height - y1, x0, height - y0, x1),
    }[orientation]


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
