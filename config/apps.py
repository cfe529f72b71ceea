from django.contrib.admin.apps import AdminConfig
from django_otp.plugins.otp_totp.apps import DefaultConfig


class BatonAdminConfig(AdminConfig):
    default_site = "config.admin_site.BatonAdminSite"


class SecondFactorConfig(DefaultConfig):  # type: ignore[misc]  # django-otp has no types
    verbose_name = "Access"
