"""Pictures made harmless, kept in files, swept and erased."""

import os
import struct
import time
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from PIL import Image, ImageCms

from dispatch import services
from drivers.errors import Invalid
from drivers.models import Driver
from orders import proofs
from orders.models import ContactAccess, DeliveryPin, DeliveryProof, Order, OrderContact, OrderEvent
from orders.services import Contact
from tests import cast, pictures
from tests.pictures import drawn, encoded, jpeg, read


def made(content: bytes, media_type: str = "image/jpeg") -> proofs.Picture:
    return proofs.make_picture(content=content, media_type=media_type)


def refused(content: bytes, media_type: str = "image/jpeg") -> str:
    with pytest.raises(Invalid) as refusal:
        made(content, media_type)
    (text,) = refusal.value.data["errors"]["body"]
    return str(text)


def channels(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel


def is_red(pixel: Any) -> bool:
    return bool(pixel[0] > 200 and pixel[2] < 60)


def test_nothing_is_left_of_a_picture_but_its_pixels() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = encoded(drawn(), "JPEG", exif=pictures.exif(), comment=b"a secret comment", icc_profile=profile)
    assert b"Somebody's phone" in sent

    picture = made(sent)

    assert (picture.media_type, picture.width, picture.height) == ("image/jpeg", 80, 60)
    for told in (b"Exif", b"GPS", b"Somebody", b"secret", b"ICC_PROFILE"):
        assert told not in picture.content
    image = read(picture.content)
    assert not image.getexif()
    assert is_red(image.getpixel((5, 30)))
    assert not is_red(image.getpixel((75, 30)))


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [(1, (80, 60), (2, 30)), (3, (80, 60), (77, 30)), (6, (60, 80), (30, 2)), (8, (60, 80), (30, 77))],
)
def test_a_picture_is_turned_upright(orientation: int, size: tuple[int, int], red_at: tuple[int, int]) -> None:
    image = read(made(jpeg(orientation=orientation)).content)

    assert image.size == size
    assert is_red(image.getpixel(red_at))


@pytest.mark.parametrize("sent", ["image/jpeg", "image/png", "image/webp"])
def test_a_large_picture_becomes_at_most_two_thousand_pixels(sent: str) -> None:
    form = proofs.FORMATS[sent]

    picture = made(encoded(drawn(4000, 3000), form), sent)

    assert (picture.width, picture.height) == (2000, 1500)
    assert read(picture.content).size == (2000, 1500)


def test_a_signature_on_nothing_is_kept_on_white() -> None:
    drawing = Image.new("RGBA", (50, 20), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, 255), (10, 5, 20, 15))

    image = read(made(encoded(drawing, "PNG"), "image/png").content)

    assert image.mode == "RGB"
    assert min(channels(image, 45, 2)) > 240
    assert max(channels(image, 15, 10)) < 30


@pytest.mark.parametrize("mode", ["L", "LA", "P", "I;16", "1", "CMYK"])
def test_every_mode_of_a_picture_is_read(mode: str) -> None:
    form, media_type = ("JPEG", "image/jpeg") if mode == "CMYK" else ("PNG", "image/png")
    image = Image.new(mode, (30, 20))

    assert made(encoded(image, form), media_type).width == 30


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (60_000, 60_000), (2**31 - 1, 1), (1, 25_000_001)])
def test_what_would_unfold_to_too_many_pixels_is_not_unfolded(width: int, height: int) -> None:
    started = time.monotonic()

    # Pillow refuses the very largest by itself.
    assert refused(bomb(width, height), "image/png") in {
        "May have at most 25 million pixels.",
        "This is no whole PNG picture.",
    }

    assert time.monotonic() - started < 1


def test_a_picture_that_is_cut_short_is_refused() -> None:
    whole = jpeg(400, 300)

    for length in (2, 20, 200, len(whole) // 2, len(whole) - 200):
        assert refused(whole[:length]) == "This is no whole JPEG picture."


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.7",
        b"GIF89a" + b"\0" * 50,
        encoded(drawn(), "PNG"),
        encoded(drawn(), "GIF"),
        encoded(drawn(), "TIFF"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"\xff\xd8\xff" + b"\0" * 500,
    ],
)
def test_what_is_no_jpeg_is_not_tried_as_anything_else(content: bytes) -> None:
    assert refused(content) == "This is no whole JPEG picture."


def test_what_hides_behind_a_picture_is_gone() -> None:
    picture = made(jpeg() + b"PK\x03\x04<script>alert(1)</script>")

    assert b"script" not in picture.content
    assert b"PK\x03\x04" not in picture.content


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_picture_is_refused_or_made_anew_and_never_a_fault(seed: int) -> None:
    media_type = list(proofs.FORMATS)[seed % 3]
    content = bytearray(encoded(drawn(200, 100), proofs.FORMATS[media_type]))
    for step in range(1, 12):
        content[(seed * 7919 + step * 104729) % len(content)] ^= (seed * 31 + step * 17) % 255 + 1

    try:
        picture = made(bytes(content), media_type)
    except Invalid as refusal:
        assert refusal.data["errors"].keys() == {"body"}
    else:
        assert read(picture.content).size == (picture.width, picture.height)


# --- Files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def files(media: Path) -> list[str]:
    return sorted(path.relative_to(media).as_posix() for path in media.rglob("*") if path.is_file())


def test_a_file_has_a_name_that_says_nothing_and_is_its_owners_alone(media: Path) -> None:
    names = {proofs.write_file(b"one") for _ in range(50)}

    assert len(names) == 50
    assert files(media) == sorted(names)
    for name in names:
        assert len(Path(name).stem) + len(Path(name).parent.name) == 40
        assert (media / name).stat().st_mode & 0o777 == 0o600
        assert proofs.read_file(name) == b"one"


def test_a_disk_that_is_full_leaves_nothing_behind(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space"):
        proofs.write_file(b"one")

    assert files(media) == []


def delivered(driver: Driver, *, days_ago: float) -> Order:
    order = cast.order(contact=Contact(name="Carol", phone="1", pin="0420"))
    services.accept_order(order_id=order.pk, driver_id=driver.pk)
    services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
    services.keep_proof(
        order_id=order.pk,
        driver_id=driver.pk,
        action_id=f"photo of {order.pk}",
        kind="photo",
        content=jpeg(),
        media_type="image/jpeg",
    )
    services.deliver_order(order_id=order.pk, driver_id=driver.pk)
    with transaction.atomic():
        Order.objects.filter(pk=order.pk).update(version=6, delivered_at=cast.now() - timedelta(days=days_ago))
        OrderEvent.objects.create(order=order, version=6, kind="order.corrected", actor_type="system")
    return order


@pytest.mark.django_db(transaction=True)
def test_pictures_and_pins_are_erased_with_the_contact(media: Path, alice: Driver) -> None:
    from dispatch import tasks

    old, recent = delivered(alice, days_ago=30.01), delivered(alice, days_ago=29.99)
    kept = DeliveryProof.objects.get(order=recent)

    tasks.erase_contacts()
    tasks.erase_contacts()

    assert list(DeliveryProof.objects.all()) == [kept]
    assert files(media) == [kept.file]
    assert list(OrderContact.objects.values_list("pk", flat=True)) == [recent.pk]
    assert list(DeliveryPin.objects.values_list("pk", flat=True)) == [recent.pk]
    assert Order.objects.filter(pk=old.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_file_without_a_row_is_swept_after_a_day_and_no_other_file_is(media: Path, alice: Driver) -> None:
    delivered(alice, days_ago=0)
    kept = DeliveryProof.objects.get()
    orphan, fresh = proofs.write_file(b"orphan"), proofs.write_file(b"fresh")
    half = media / "proofs" / "aa" / "half.part"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half")
    others = media / "exports" / "report.csv"
    others.parent.mkdir()
    others.write_bytes(b"a,b")
    old = time.time() - proofs.ORPHAN_SECONDS - 60
    for path in (media / kept.file, media / orphan, half, others):
        os.utime(path, (old, old))

    assert proofs.sweep_files() == 2
    assert proofs.sweep_files() == 0

    assert files(media) == sorted([kept.file, fresh, "exports/report.csv"])


@pytest.mark.django_db
def test_a_look_at_a_picture_is_on_record(media: Path, alice: Driver) -> None:
    order = cast.order()
    name = proofs.write_file(b"picture")
    proof = DeliveryProof.objects.create(
        order=order, driver=alice, action_id="a", kind="photo", file=name, media_type="image/jpeg", width=1, height=1
    )

    looked = proofs.look_at_proof(order_id=order.pk, proof_id=proof.pk, actor=cast.DISPATCHER)

    assert looked == (proof, b"picture")
    assert list(ContactAccess.objects.values_list("order_id", "actor_name", "via")) == [(order.pk, "dora", "proof")]
    # Another order's address does not lead to it, and what is gone leaves no record.
    assert proofs.look_at_proof(order_id=uuid4(), proof_id=proof.pk, actor=cast.DISPATCHER) is None
    proofs.remove_files([name])
    assert proofs.look_at_proof(order_id=order.pk, proof_id=proof.pk, actor=cast.DISPATCHER) is None
    assert ContactAccess.objects.count() == 1
