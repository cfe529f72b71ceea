#!/usr/bin/env python
"""Django's command line. In an installed Baton call it as `bin/manage`, which knows the environment."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:] == ["worker"]:
        from dispatch.spawn import spawn_early

        spawn_early()
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A missing or malformed environment variable: its name is all that helps.
        sys.exit(f"Baton cannot start: {error}")


if __name__ == "__main__":
    main()
