from django.apps import AppConfig


class DispatchConfig(AppConfig):
    name = "dispatch"

    def ready(self) -> None:
        from django.contrib.auth.models import User
        from django.db.models.signals import post_save

        from dispatch.services.crew import account_saved

        post_save.connect(account_saved, sender=User, dispatch_uid="account_saved")
