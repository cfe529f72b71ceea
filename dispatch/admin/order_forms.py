"""The forms of an order: what is typed becomes the values that a service takes. No rule of the business is in here."""

import hashlib
import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin import site, widgets
from django.contrib.gis.geos import Point

from drivers.models import Driver, Vehicle
from orders.models import Order, OrderContact
from orders.services import Contact, NewOrder, Place


class PlaceField(forms.FloatField):
    """Degrees, WGS 84, as a plain number."""

    def __init__(self, *, limit: int, label: str) -> None:
        number = forms.NumberInput(attrs={"step": "any", "class": "vCoordinate"})
        super().__init__(min_value=-limit, max_value=limit, label=label, widget=number)


def _text(length: int, label: str, *, required: bool = False) -> forms.CharField:
    field = forms.CharField(max_length=length, label=label, required=required)
    field.widget = widgets.AdminTextInputWidget(attrs={"maxlength": length})
    return field


def _moment(label: str, help_text: str) -> forms.SplitDateTimeField:
    return forms.SplitDateTimeField(
        label=label, help_text=help_text, required=False, widget=widgets.AdminSplitDateTime()
    )


class OrderForm(forms.Form):
    """What both a new and a corrected order consist of."""

    reference = _text(100, "Reference")
    pickup_lat = PlaceField(limit=90, label="Latitude")
    pickup_lng = PlaceField(limit=180, label="Longitude")
    pickup_address = _text(300, "Address")
    dropoff_lat = PlaceField(limit=90, label="Latitude")
    dropoff_lng = PlaceField(limit=180, label="Longitude")
    dropoff_address = _text(300, "Address")
    contact_name = _text(100, "Name", required=True)
    contact_phone = _text(32, "Phone", required=True)
    contact_notes = forms.CharField(
        max_length=1000, required=False, label="Notes", widget=widgets.AdminTextareaWidget(attrs={"rows": 2})
    )
    vehicle = forms.ChoiceField(choices=[("", "Any will do"), *Vehicle.choices], required=False)
    priority = forms.IntegerField(min_value=0, max_value=9, initial=0, help_text="0 to 9; the higher is matched first.")
    payout = forms.DecimalField(min_value=Decimal(0), max_digits=10, decimal_places=2, initial=Decimal(0))
    currency = forms.RegexField(
        r"^[A-Z]{3}$", initial=settings.DEFAULT_CURRENCY, max_length=3, help_text="Three capital letters."
    )
    release_at = _moment("Offered from", "Empty: now.")
    auto_assign_at = _moment(
        "Auto-assigned from", f"Empty: {settings.AUTO_ASSIGN_AFTER_SECONDS} s after it is first offered."
    )
    expires_at = _moment("Expires", f"Empty: {settings.EXPIRE_AFTER_SECONDS} s after it is first offered.")

    PLACES = [
        ("Pickup", {"fields": ["pickup_address", ("pickup_lat", "pickup_lng")]}),
        ("Drop-off", {"fields": ["dropoff_address", ("dropoff_lat", "dropoff_lng")]}),
    ]
    CUSTOMER = [("Customer", {"fields": [("contact_name", "contact_phone"), "contact_notes"]})]
    TERMS = [
        ("Terms", {"fields": ["reference", ("vehicle", "priority"), ("payout", "currency")]}),
        ("Deadlines", {"fields": ["release_at", "auto_assign_at", "expires_at"]}),
    ]

    @property
    def fieldsets(self) -> list[Any]:
        return [*self.PLACES, *(self.CUSTOMER if "contact_name" in self.fields else []), *self.TERMS]

    def _place(self, end: str) -> Place:
        given = self.cleaned_data
        return Place(lat=given[f"{end}_lat"], lng=given[f"{end}_lng"], address=given[f"{end}_address"])

    def _contact(self) -> Contact:
        given = self.cleaned_data
        return Contact(name=given["contact_name"], phone=given["contact_phone"], notes=given["contact_notes"])


class PlaceOrderForm(OrderForm):
    """A new order. The hidden key makes a double click one order."""

    key = forms.CharField(max_length=64, widget=forms.HiddenInput, initial=lambda: uuid.uuid4().hex)

    @property
    def fieldsets(self) -> list[Any]:
        return [*super().fieldsets, (None, {"fields": ["key"]})]

    def new_order(self) -> NewOrder:
        given = self.cleaned_data
        terms = ("reference", "vehicle", "priority", "payout", "currency", "release_at", "auto_assign_at", "expires_at")
        return NewOrder(
            pickup=self._place("pickup"),
            dropoff=self._place("dropoff"),
            contact=self._contact(),
            **{name: given[name] for name in terms},
        )

    def fingerprint(self) -> str:
        return hashlib.sha256(repr(sorted(self.cleaned_data.items())).encode()).hexdigest()


class CorrectOrderForm(OrderForm):
    """A pending order's details, with the version of it that the dispatcher saw. Without a `contact` the customer is
    neither shown nor changed."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, order: Order, contact: OrderContact | None) -> None:
        plain = ("reference", "pickup_address", "dropoff_address", "vehicle", "priority", "payout", "currency")
        initial = {name: getattr(order, name) for name in (*plain, "release_at", "auto_assign_at", "expires_at")}
        initial |= {"pickup_lat": order.pickup.y, "pickup_lng": order.pickup.x, "version": order.version}
        initial |= {"dropoff_lat": order.dropoff.y, "dropoff_lng": order.dropoff.x}
        if contact is not None:
            initial |= {f"contact_{name}": getattr(contact, name) for name in ("name", "phone", "notes")}
        super().__init__(data, initial=initial)
        for name in ("release_at", "auto_assign_at", "expires_at"):
            self.fields[name].required = True
            self.fields[name].help_text = ""
        if contact is None:
            for name in ("contact_name", "contact_phone", "contact_notes"):
                del self.fields[name]

    @property
    def fieldsets(self) -> list[Any]:
        return [*super().fieldsets, (None, {"fields": ["version"]})]

    def corrections(self) -> dict[str, Any]:
        """The fields of the order that were changed in the form."""
        changed = set(self.changed_data) - {"version"}
        found = {name: self.cleaned_data[name] for name in changed if not name.startswith("contact_")}
        for end in ("pickup", "dropoff"):
            if {f"{end}_lat", f"{end}_lng"} & found.keys():
                place = self._place(end)
                found.pop(f"{end}_lat", None)
                found.pop(f"{end}_lng", None)
                found[end] = Point(place.lng, place.lat, srid=4326)
        return found

    def contact(self) -> Contact | None:
        return self._contact() if any(name.startswith("contact_") for name in self.changed_data) else None


# --- Acts: what their buttons send -----------------------------------------------------------------------------------


class ActForm(forms.Form):
    """`version`: the order as the dispatcher saw it."""

    version = forms.IntegerField(min_value=1)


class AssignForm(ActForm):
    driver = forms.IntegerField(min_value=1, max_value=2**63 - 1, error_messages={"required": "Choose a driver."})


class ReasonForm(ActForm):
    reason = forms.CharField(max_length=300, required=False)


class ExtendForm(ActForm):
    minutes = forms.IntegerField(min_value=1, max_value=7 * 24 * 60)


class DriverChoice(forms.Form):
    """The search box for any driver; 20,000 names are never put into a page."""

    driver = forms.ModelChoiceField(
        Driver.objects.all(),
        widget=widgets.AutocompleteSelect(Order._meta.get_field("driver"), site, attrs={"data-placeholder": "Name…"}),
    )
