"""Pictures taken at the door: made harmless, kept in a file of their own, looked at on record, erased in time.

A file is written and on disk before its row commits, so there is never a row without its picture; whatever is left without
a row (a crash in between, an erased order) is swept.
"""

import logging
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from PIL import ExifTags, Image

from drivers.clock import database_now
from drivers.errors import Invalid
from orders.actors import Actor
from orders.lifecycle import FINAL
from orders.models import ContactAccess, DeliveryProof

log = logging.getLogger(__name__)

#: What may come, by media type: the only formats that are even tried.
FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
#: A few kilobytes can unfold to any size; these many pixels take 150 MB while they are read (a progressive JPEG).
MOST_PIXELS: Final = 25_000_000
#: Pixels, of the longer side of what is kept.
LONGEST_SIDE: Final = 2000
QUALITY: Final = 82
#: EXIF's orientation → what makes it upright.
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FOLDER: Final = "proofs"
#: A file without a row is left alone for so long: its row may be about to commit, or be in a backup that is being put back.
ORPHAN_SECONDS: Final = 24 * 3600
ERASE_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Picture:
    """Made anew from the pixels of what was sent: nothing else of it is left, no place, no device, no hidden file."""

    content: bytes
    media_type: str
    width: int
    height: int


def make_picture(*, content: bytes, media_type: str) -> Picture:
    """The upright picture in `content`, at most LONGEST_SIDE, without any of its metadata.

    Raises Invalid naming `body`: not that format, damaged, cut short, or far too many pixels.
    """
    name = FORMATS[media_type]
    try:
        # Only this one decoder: what says that it is a photo is not tried as anything else.
        with Image.open(BytesIO(content), formats=[name]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Invalid(body=f"May have at most {MOST_PIXELS // 1_000_000} million pixels.")
            # Unfolds a JPEG at a fraction of its size where that is enough.
            image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            image.load()
            return _encode(image)
    except Invalid:
        raise
    except Exception as error:
        # Decoders fail in many ways on what is no picture: ValueError, SyntaxError, struct.error, OSError …
        log.info("A proof could not be read: %s", error)
        raise Invalid(body=f"This is no whole {name} picture.") from error


def _encode(image: Image.Image) -> Picture:
    """As JPEG, on white where it is transparent: a signature is black on nothing."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    is_transparent = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    drawn = image.convert("RGBA" if is_transparent else "RGB")
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    if orientation in UPRIGHT:
        drawn = drawn.transpose(UPRIGHT[orientation])
    # The pixels alone, in a new picture: it takes no profile, comment or EXIF along.
    plain = Image.new("RGB", drawn.size, "white")
    plain.paste(drawn, mask=drawn.getchannel("A") if is_transparent else None)
    out = BytesIO()
    plain.save(out, "JPEG", quality=QUALITY, optimize=True)
    return Picture(content=out.getvalue(), media_type="image/jpeg", width=plain.width, height=plain.height)


# --- Files -----------------------------------------------------------------------------------------------------------


def write_file(content: bytes) -> str:
    """Keep `content` under a name that nobody can guess; the name. It is on disk when this returns. Raises OSError."""
    token = secrets.token_hex(20)
    name = f"{FOLDER}/{token[:2]}/{token[2:]}.jpg"
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):
        _sync_folder(folder)
    return name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(name: str) -> bytes:
    """Raises OSError."""
    return _path(name).read_bytes()


def remove_files(names: Iterable[str]) -> None:
    """What cannot be removed now is swept later."""
    for name in names:
        try:
            _path(name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("A picture that is nobody's any more could not be removed: %s", error)


def _path(name: str) -> Path:
    return Path(settings.MEDIA_ROOT) / name


# --- Looking and erasing ---------------------------------------------------------------------------------------------


def look_at_proof(*, order_id: UUID, proof_id: UUID, actor: Actor) -> tuple[DeliveryProof, bytes] | None:
    """A picture of an order, for somebody on the staff; that they looked is on record before they see it. None when there
    is none, or no longer."""
    with transaction.atomic():
        proof = DeliveryProof.objects.filter(pk=proof_id, order_id=order_id).first()
        if proof is None:
            return None
        try:
            content = read_file(proof.file)
        except OSError:
            log.exception("The file of proof %s cannot be read.", proof.pk)
            return None
        ContactAccess.objects.create(
            order_id=order_id, actor_type=actor.type, actor_id=actor.id, actor_name=actor.name, via="proof"
        )
    return proof, content


def erase_proofs() -> int:
    """Delete the pictures of orders that have been final for CONTACT_RETENTION_DAYS; how many. Runs from a schedule, any
    number of times; each batch is a transaction of its own, and its files go after it."""
    erased = 0
    while batch := _erase_batch():
        erased += batch
    return erased


def _erase_batch() -> int:
    with transaction.atomic(durable=True):
        before = database_now() - timedelta(days=settings.CONTACT_RETENTION_DAYS)
        is_old = Q(order__delivered_at__lt=before) | Q(order__cancelled_at__lt=before) | Q(order__failed_at__lt=before)
        old = DeliveryProof.objects.filter(is_old, order__status__in=sorted(FINAL)).order_by()
        found = dict(old.values_list("pk", "file")[:ERASE_BATCH])
        DeliveryProof.objects.filter(pk__in=found).delete()
    remove_files(found.values())
    return len(found)


def sweep_files() -> int:
    """Remove files that have had no row for ORPHAN_SECONDS; how many."""
    before = time.time() - ORPHAN_SECONDS
    swept = 0
    for names in _old_files(before):
        kept = set(DeliveryProof.objects.filter(file__in=names).values_list("file", flat=True))
        orphans = [name for name in names if name not in kept]
        remove_files(orphans)
        swept += len(orphans)
    return swept


def _old_files(before: float) -> Iterator[list[str]]:
    """Names of files last written before then, a folder at a time."""
    root = Path(settings.MEDIA_ROOT)
    folders = sorted((root / FOLDER).iterdir()) if (root / FOLDER).is_dir() else []
    for folder in folders:
        paths = [path for path in folder.iterdir() if path.is_file()]
        if names := [path.relative_to(root).as_posix() for path in paths if path.stat().st_mtime < before]:
            yield names
