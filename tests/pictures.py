"""Pictures as phones send them."""

from io import BytesIO
from typing import Any

from PIL import ExifTags, Image

#: Somewhere that nobody may learn from a picture.
LATITUDE = (37.0, 47.0, 43.8)


def drawn(width: int = 80, height: int = 60, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new(mode, (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    """What a phone writes down: which way up, whose phone, and where."""
    told = Image.Exif()
    told[ExifTags.Base.Orientation] = orientation
    told[ExifTags.Base.Make] = "Somebody's phone"
    told.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = LATITUDE
    return told


def jpeg(width: int = 80, height: int = 60, *, orientation: int = 1) -> bytes:
    return encoded(drawn(width, height), "JPEG", exif=exif(orientation), comment=b"a secret comment")


def read(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image
