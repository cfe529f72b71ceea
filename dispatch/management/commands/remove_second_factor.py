"""Remove a second factor from the machine itself: for when nobody is left who could do so in the back office."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dispatch.services import remove_second_factor


class Command(BaseCommand):
    help = (
        "Remove the second factor of the member of staff USER, whose phone and backup codes are lost. Their password alone "
        "signs them in again, or, with BATON_SECOND_FACTOR=required, leads them to setting up a new one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USER")

    def handle(self, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"USER: There is no user {options['username']}.")
        if not remove_second_factor(user_id=user.pk):
            raise CommandError(f"USER: {user} has no second factor.")
        self.stdout.write(f"The second factor of {user} is removed.")
