from django.apps import AppConfig


class DispatchConfig(AppConfig):
    name = "dispatch"

    def ready(self) -> None:
        from django.contrib.auth.models import Group, User
        from django.contrib.auth.signals import user_logged_out
        from django.db.models.signals import m2m_changed, post_save, pre_delete

        from dispatch.services import standing
        from dispatch.services.crew import account_saved

        post_save.connect(account_saved, sender=User, dispatch_uid="account_saved")
        user_logged_out.connect(standing.signed_out, dispatch_uid="signed_out")
        m2m_changed.connect(standing.user_regrouped, sender=User.groups.through, dispatch_uid="user_regrouped")
        m2m_changed.connect(
            standing.user_permitted, sender=User.user_permissions.through, dispatch_uid="user_permitted"
        )
        m2m_changed.connect(standing.group_permitted, sender=Group.permissions.through, dispatch_uid="group_permitted")
        pre_delete.connect(standing.group_deleted, sender=Group, dispatch_uid="group_deleted")
        pre_delete.connect(standing.user_deleted, sender=User, dispatch_uid="user_deleted")
