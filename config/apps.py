from django.contrib.admin.apps import SimpleAdminConfig
from django_otp.plugins.otp_totp.apps import DefaultConfig


class BatonAdminConfig(SimpleAdminConfig):
    """Its pages are loaded with the addresses (config/urls.py), not by the worker and every command."""

    default_site = "config.admin_site.BatonAdminSite"


class SecondFactorConfig(DefaultConfig):  # type: ignore[misc]  # django-otp has no types
    verbose_name = "Access"
