"""The back office searches references from their start, in any case; the plain index serves exact lookups only."""

from django.contrib.postgres.indexes import OpClass
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [("orders", "0004_contact_access")]

    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(OpClass(Upper("reference"), name="text_pattern_ops"), name="order_by_reference_start"),
        ),
    ]
