"""A message has its sender's own key, so that one whose answer got lost can be sent again without being sent twice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0016_driver_order")]

    operations = [
        migrations.AddField("message", "key", models.CharField(max_length=64, null=True)),
        migrations.AddConstraint(
            "message",
            models.UniqueConstraint(
                fields=["driver", "actor_id", "actor_type", "key"],
                condition=models.Q(key__isnull=False),
                name="one_message_per_key",
            ),
        ),
    ]
