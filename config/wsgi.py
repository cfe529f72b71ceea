"""The WSGI door: HTTP and the admin, where sockets are served elsewhere (deploy/)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application
from servestatic import ServeStatic

_django = get_wsgi_application()

from config import static

application = ServeStatic(_django, **static.options())
