"""The groups `dispatcher` and `supervisor`, each with exactly the permissions that it needs.

Django makes permissions only after all migrations have run, so those that are given here are made here first, under the
names that Django would use.
"""

from django.db import migrations

# app.model → what a dispatcher may, and what a supervisor may besides.
DISPATCHER = {
    "orders.order": ["view", "add", "change", "dispatch"],
    "orders.ordercontact": ["view"],
    "orders.orderevent": ["view"],
    "drivers.driver": ["view", "duty"],
    "drivers.presence": ["view"],
    "dispatch.offer": ["view"],
}
SUPERVISOR = {
    "drivers.driver": ["add", "change"],
    "drivers.devicetoken": ["view", "delete"],
    "orders.integrator": ["view", "add", "change"],
    "orders.apikey": ["view", "add", "change"],
    "orders.contactaccess": ["view"],
    "dispatch.sweepheartbeat": ["view"],
    "django_q.schedule": ["view"],
    "django_q.success": ["view"],
    "django_q.failure": ["view"],
    "django_q.ormq": ["view"],
    "axes.accessattempt": ["view", "delete"],
}
# What the models themselves call their own permissions.
NAMES = {
    "dispatch_order": "Can offer, assign, release, extend and cancel orders",
    "duty_driver": "Can put drivers on and off duty",
}


def make_groups(apps, schema_editor):
    """Make both groups; run again it adds what is missing and takes nothing away."""
    group = apps.get_model("auth", "Group").objects
    dispatcher = list(_permissions(apps, DISPATCHER))
    group.get_or_create(name="dispatcher")[0].permissions.add(*dispatcher)
    group.get_or_create(name="supervisor")[0].permissions.add(*dispatcher, *_permissions(apps, SUPERVISOR))


def _permissions(apps, wanted):
    content_types = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    for label, verbs in wanted.items():
        app, model = label.split(".")
        content_type, _ = content_types.get_or_create(app_label=app, model=model)
        verbose = apps.get_model(app, model)._meta.verbose_name_raw
        for verb in verbs:
            codename = f"{verb}_{model}"
            name = NAMES.get(codename, f"Can {verb} {verbose}")
            yield permissions.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]


def remove_groups(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=["dispatcher", "supervisor"]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0002_row_level_security"),
        ("drivers", "0003_duty_permission"),
        ("orders", "0005_search_by_reference"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("axes", "0010_accessattemptexpiration"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [migrations.RunPython(make_groups, remove_groups)]
