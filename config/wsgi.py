"""The WSGI door: HTTP and the admin, where sockets are served elsewhere (`bin/up --web N --ws M`, deploy/nginx.conf)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.wsgi import get_wsgi_application
from servestatic import ServeStatic

_django = get_wsgi_application()

# Loaded here, or else the first request would wait for it.
import config.urls  # noqa: F401
from config import env, static
from config.proxies import ForwardedFor

application = ForwardedFor(ServeStatic(_django, **static.options()), env.words("BATON_TRUSTED_PROXIES", ""))
