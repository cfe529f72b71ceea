from typing import Any

from django.core.management.base import BaseCommand

from drivers.push import create_keys


class Command(BaseCommand):
    help = (
        "A new pair of keys for Web Push (VAPID), as settings for the environment. They change nothing by themselves; with "
        "other keys than before, every device must subscribe again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        private, public = create_keys()
        self.stdout.write(f"BATON_PUSH_PRIVATE_KEY={private}")
        self.stdout.write("BATON_PUSH_CONTACT=mailto:you@example.com")
        self.stderr.write(
            "Put both lines into the environment of every process (bin/up reads .local/env), with an address under which "
            f"push services reach you, and start again. The public key, which needs no setting: {public}"
        )
