"""The forms of a driver."""

from typing import Any

from django import forms
from django.contrib.admin import widgets
from django.contrib.auth.validators import UnicodeUsernameValidator

from drivers.models import Driver, Vehicle


class DriverForm(forms.Form):
    """What can be corrected about a driver."""

    name = forms.CharField(max_length=100, widget=widgets.AdminTextInputWidget())
    phone = forms.CharField(max_length=32, required=False, widget=widgets.AdminTextInputWidget())
    vehicle = forms.TypedChoiceField(choices=Vehicle.choices, coerce=Vehicle, initial=Vehicle.CAR)
    capacity = forms.IntegerField(min_value=1, max_value=50, initial=1, help_text="Orders at once, 1 to 50.")

    fieldsets: list[Any] = [("Driver", {"fields": ["name", "phone", ("vehicle", "capacity")]})]

    @classmethod
    def of(cls, driver: Driver, data: Any = None) -> "DriverForm":
        return cls(data, initial={name: getattr(driver, name) for name in cls.base_fields})


class RegisterDriverForm(DriverForm):
    """A new driver, who signs in with this user name and password."""

    username = forms.CharField(
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        help_text="What the driver signs in with.",
        widget=widgets.AdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    password = forms.CharField(
        max_length=128, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    fieldsets = [*DriverForm.fieldsets, ("Sign-in", {"fields": ["username", "password"]})]


class PasswordForm(forms.Form):
    password = forms.CharField(
        max_length=128, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )


class DeviceForm(forms.Form):
    digest = forms.CharField(max_length=128)


class NothingForm(forms.Form):
    """A button that says it all."""
