"""All settings, in one file. What differs between installations comes from the environment (config/env.py)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent

# --- The process -----------------------------------------------------------------------------------------------------

DEBUG = env.boolean("BATON_DEBUG", default=False)
SECRET_KEY = env.text("BATON_SECRET_KEY")
if not DEBUG and (len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5):
    # django-q2 signs pickles with this key: whoever guesses it runs code here.
    raise ImproperlyConfigured("BATON_SECRET_KEY must be a random text of at least 50 characters.")
ALLOWED_HOSTS = env.words("BATON_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
# One switch for everything that is only right behind TLS.
HTTPS = env.boolean("BATON_HTTPS", default=False)

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# GDAL 3.6 (Debian 12) cannot forbid file access in spatial references; Baton never reads one from a user.
SILENCED_SYSTEM_CHECKS = ["gis.W001"]
if not HTTPS:
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W008", "security.W012", "security.W016"]

INSTALLED_APPS = [
    "config.apps.BatonAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.gis",
    "django.contrib.postgres",
    "axes",
    "channels",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_static",
    "config.apps.SecondFactorConfig",
    "django_q",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "pgtrigger",
    "rest_framework",
    "drivers",
    "orders",
    "dispatch",
]

# All of it synchronous; static files never get here (config/static.py).
MIDDLEWARE = [
    "config.problems.ProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.rates.AddressRateMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL ------------------------------------------------------------------------------------------------------

# How this process holds its connections. "persistent": a fixed number of threads or forks, each with one of its own: all
# that we start ourselves (config/gate.py has a fixed set of threads, django-q2 forks and must never inherit a pool). A
# broken connection is then an error, and a new one, at once. "pool" is for servers that start threads as they like; while
# PostgreSQL is away it lets every request wait for DATABASE_POOL_SECONDS.
DATABASE_CONNECTIONS = env.text("BATON_DATABASE_CONNECTIONS", "persistent")
if DATABASE_CONNECTIONS not in {"pool", "persistent"}:
    raise ImproperlyConfigured("BATON_DATABASE_CONNECTIONS must be pool or persistent.")
# Waiting is bounded everywhere: a row lock (then `busy`), a statement, a connection from the pool (then 503).
LOCK_TIMEOUT_MS = env.integer("BATON_LOCK_TIMEOUT_MS", 4000, minimum=1)
STATEMENT_TIMEOUT_MS = env.integer("BATON_STATEMENT_TIMEOUT_MS", 15000, minimum=1)
DATABASE_POOL_SIZE = env.integer("BATON_DATABASE_POOL_SIZE", 16, minimum=2)
DATABASE_POOL_SECONDS = 5

# What every session with PostgreSQL starts with.
DATABASE_SESSION = {
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": "30000",
    # PostGIS's functions are so "expensive" that PostgreSQL compiles queries that take a millisecond: for 300 of them.
    "jit": "off",
}
DATABASE_SESSION_OPTIONS = " ".join(f"-c {name}={value}" for name, value in DATABASE_SESSION.items())
# DATABASE_URL is PgBouncer in transaction mode (deploy/pgbouncer.ini). It takes no `options` and gives each transaction
# another session, so the pooler itself sets the above when it opens one; `manage.py doctor` compares.
TRANSACTION_POOLER = env.boolean("BATON_TRANSACTION_POOLER", default=False)

_database_options: dict[str, Any] = {
    "connect_timeout": 5,
    # A server that is cut off, not merely slow, is noticed within half a minute. (Sockets in a directory ignore this.)
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,
    "application_name": env.text("BATON_PROCESS_NAME", "baton"),
}
if not TRANSACTION_POOLER:
    _database_options["options"] = DATABASE_SESSION_OPTIONS
if DATABASE_CONNECTIONS == "pool":
    _database_options["pool"] = {"min_size": 2, "max_size": DATABASE_POOL_SIZE, "timeout": DATABASE_POOL_SECONDS}

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.contrib.gis.db.backends.postgis",
        **env.database("DATABASE_URL"),
        "CONN_MAX_AGE": 0 if DATABASE_CONNECTIONS == "pool" else 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _database_options,
        "ATOMIC_REQUESTS": False,
        # A cursor on the server that outlives its transaction would be looked for in another session.
        "DISABLE_SERVER_SIDE_CURSORS": TRANSACTION_POOLER,
    }
}
# The sweeps hold locks of a session (dispatch/seats.py). Behind a pooler in transaction mode they need a way around it.
DIRECT_DATABASE = env.database("DATABASE_DIRECT_URL") if env.text("DATABASE_DIRECT_URL", "") else None
if TRANSACTION_POOLER and DIRECT_DATABASE is None:
    raise ImproperlyConfigured("BATON_TRANSACTION_POOLER needs DATABASE_DIRECT_URL, a way around the pooler.")

# --- Redis and live push ---------------------------------------------------------------------------------------------

REDIS_URL = env.text("REDIS_URL")
# Everything this installation keeps in Redis starts with this, so that two can share a server.
REDIS_PREFIX = env.text("BATON_REDIS_PREFIX", "baton")
# The servers that live push is spread over (dispatch/shards.py); every process must be told the same ones, in this order.
# None: REDIS_URL, where tickets, limits, sockets' places and the cache stay in any case.
REDIS_SHARDS = env.words("BATON_REDIS_SHARDS")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "prefix": REDIS_PREFIX,
            # redis-py 8 allows 100 connections by default and raises beyond.
            "hosts": [
                {"address": address, "max_connections": 1000, "health_check_interval": 15}
                for address in REDIS_SHARDS or [REDIS_URL]
            ],
        },
    }
}
# What a socket says of an error: the same document as HTTP does.
PROBLEM_OF = "config.problems.problem_of_any"
# Threads per process for what sockets ask of the database (who is it, snapshots); one more writes heartbeats.
SOCKET_DATABASE_THREADS = env.integer("BATON_SOCKET_DATABASE_THREADS", 4, minimum=1)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"{REDIS_PREFIX}:cache",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    },
    # django-q2 writes its status here twice a second and waits for it; in Redis, a Redis that hangs would hold up the
    # guard of the workers. The sweeps' heartbeat is in the database (dispatch/seats.py), so nothing reads this.
    "cluster_status": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}

# --- Background work: django-q2 --------------------------------------------------------------------------------------

# The ORM broker lives in the same database as the orders: a job and the change that asked for it commit together.
# A failing job is not repeated for ever; one whose worker was killed comes again after `retry` seconds, which therefore
# covers two jobs' time in front of it in the worker's own queue and its own.
JOB_SECONDS = env.integer("BATON_JOB_SECONDS", 60, minimum=1)
Q_CLUSTER: dict[str, Any] = {
    "name": "jobs",
    "orm": "default",
    "workers": 2,
    "queue_limit": 2,
    "timeout": JOB_SECONDS,
    "retry": 4 * JOB_SECONDS,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,
    "poll": 0.5,
    "bulk": 1,
    "cache": "cluster_status",
    "label": "Background jobs",
    "ALT_CLUSTERS": {
        # One worker sweeps, one stands by. No run is longer than RUN_AT_MOST_SECONDS (dispatch/sweeps.py).
        "sweeps": {"workers": 2, "timeout": 420, "retry": 480, "poll": 0.2},
    },
}

# --- Dispatch: the product's own numbers -----------------------------------------------------------------------------

OFFER_FANOUT = env.integer("BATON_OFFER_FANOUT", 50, minimum=1)
OFFER_RADIUS_KM = env.integer("BATON_OFFER_RADIUS_KM", 5, minimum=1)
# Auto-assign looks this far, one radius after the other, until it finds somebody.
ASSIGN_RADII_KM = [int(word) for word in env.words("BATON_ASSIGN_RADII_KM", "5,10,20")]
AUTO_ASSIGN_AFTER_SECONDS = env.integer("BATON_AUTO_ASSIGN_AFTER_SECONDS", 15)
EXPIRE_AFTER_SECONDS = env.integer("BATON_EXPIRE_AFTER_SECONDS", 120, minimum=1)
# A driver who has not been heard of for this long is not live, whatever the row says.
LIVE_SECONDS = env.integer("BATON_LIVE_SECONDS", 60, minimum=5)
# A customer's name, phone and notes are erased so long after the order's final state.
CONTACT_RETENTION_DAYS = env.integer("BATON_CONTACT_RETENTION_DAYS", 30, minimum=1)
# What dispatchers wrote to drivers is erased after so long, read or not.
MESSAGE_RETENTION_DAYS = env.integer("BATON_MESSAGE_RETENTION_DAYS", 30, minimum=1)
# The history and the offers of orders made so many whole months ago are dropped, once all orders of the month are final; the
# orders stay. 0: all is kept. The last two months are kept in any case.
HISTORY_MONTHS = env.integer("BATON_HISTORY_MONTHS", 0)
if HISTORY_MONTHS == 1:
    raise ImproperlyConfigured("BATON_HISTORY_MONTHS must be 0 (for ever) or at least 2.")
DEFAULT_CURRENCY = env.text("BATON_CURRENCY", "USD")

# --- What needs a dispatcher's attention (dispatch/attention.py) --------------------------------------------------------

EXPIRING_SECONDS = env.integer("BATON_EXPIRING_SECONDS", 60, minimum=1)
# A holder who stays within so many metres for so many minutes does not move …
STILL_METRES = env.integer("BATON_STILL_METRES", 100, minimum=1)
STILL_MINUTES = env.integer("BATON_STILL_MINUTES", 5, minimum=1)
# … unless they are where they are expected, within so many metres.
ARRIVED_METRES = env.integer("BATON_ARRIVED_METRES", 200, minimum=1)
# Farther by so much than they have been: moving away.
AWAY_METRES = env.integer("BATON_AWAY_METRES", 500, minimum=1)
# How long a way takes: as the crow flies, by so much longer on roads, at this speed, and so many minutes on top.
DETOUR = env.integer("BATON_DETOUR_PERCENT", 140, minimum=100) / 100
SPEED_KMH = {
    "bicycle": env.integer("BATON_SPEED_BICYCLE_KMH", 14, minimum=1),
    "motorbike": env.integer("BATON_SPEED_MOTORBIKE_KMH", 28, minimum=1),
    "car": env.integer("BATON_SPEED_CAR_KMH", 24, minimum=1),
    "van": env.integer("BATON_SPEED_VAN_KMH", 20, minimum=1),
}
LATE_GRACE_MINUTES = env.integer("BATON_LATE_GRACE_MINUTES", 5, minimum=0)

# --- The console's map -----------------------------------------------------------------------------------------------

# The address of a MapLibre style, or of raster tiles with {z}/{x}/{y}; neither: drivers and orders on a plain background.
MAP_STYLE = env.text("BATON_MAP_STYLE", "")
MAP_TILES = env.text("BATON_MAP_TILES", "")
MAP_ATTRIBUTION = env.text("BATON_MAP_ATTRIBUTION", "")
# What a style fetches from elsewhere than its own address (fonts, sprites, tiles): the page may ask only these.
MAP_ORIGINS = env.words("BATON_MAP_ORIGINS")
# Where the map starts, as "latitude,longitude"; empty: where the drivers are.
MAP_CENTER = [float(word) for word in env.words("BATON_MAP_CENTER")]
if MAP_CENTER and not (len(MAP_CENTER) == 2 and abs(MAP_CENTER[0]) <= 90 and abs(MAP_CENTER[1]) <= 180):
    raise ImproperlyConfigured("BATON_MAP_CENTER must look like 37.79,-122.39.")
# --- Web Push: off until there is a key (manage.py create_push_keys) ---------------------------------------------------

PUSH_PRIVATE_KEY = env.text("BATON_PUSH_PRIVATE_KEY", "")
# Where a push service finds whoever is responsible for this server: mailto:… or https://…
PUSH_CONTACT = env.text("BATON_PUSH_CONTACT", "")
if PUSH_PRIVATE_KEY and not (len(PUSH_PRIVATE_KEY) == 43 and PUSH_CONTACT.startswith(("mailto:", "https://"))):
    raise ImproperlyConfigured(
        "BATON_PUSH_PRIVATE_KEY must come from manage.py create_push_keys, with BATON_PUSH_CONTACT beside it."
    )
# The push services of Chrome, Firefox, Safari and Edge. A driver's device says where this server shall send something, so
# it is never sent anywhere else; `*` is any public address.
PUSH_HOSTS = env.words(
    "BATON_PUSH_HOSTS", "fcm.googleapis.com,.push.services.mozilla.com,.push.apple.com,.notify.windows.com"
)
# Only for tests: this one origin may be anywhere and without TLS.
PUSH_TEST_ORIGIN = env.text("BATON_PUSH_TEST_ORIGIN", "")

# --- HTTP ------------------------------------------------------------------------------------------------------------

# A request's body; the ASGI door refuses longer ones before they are read.
MAX_BODY_BYTES = env.integer("BATON_MAX_BODY_BYTES", 64 * 1024, minimum=1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
# What the back office may upload (files count apart from DATA_UPLOAD_MAX_MEMORY_SIZE).
MAX_UPLOAD_BYTES = env.integer("BATON_MAX_UPLOAD_BYTES", 10 * 1024 * 1024, minimum=1024)
# One picture that a driver took at the door, as it is sent (orders/proofs.py makes it smaller); how many are made smaller
# at once, and how many may be on their way besides.
MAX_PROOF_BYTES = env.integer("BATON_MAX_PROOF_BYTES", 5 * 1024 * 1024, minimum=1024)
MAX_PROOFS_AT_ONCE = env.integer("BATON_MAX_PROOFS_AT_ONCE", 2, minimum=1)
MAX_PROOFS_WAITING = env.integer("BATON_MAX_PROOFS_WAITING", 30, minimum=1)
# Requests inside Django at once, and how many may wait for a turn (config/gate.py); beyond: 503 with Retry-After.
# More threads than these only take the processor from the sockets of the same process (docs/performance.md).
MAX_REQUESTS_AT_ONCE = env.integer("BATON_MAX_REQUESTS_AT_ONCE", 8, minimum=1)
MAX_REQUESTS_WAITING = env.integer("BATON_MAX_REQUESTS_WAITING", 4000, minimum=1)

# Who may read /metrics: the holder of this token; without one, whoever asks from this machine itself.
METRICS_TOKEN = env.text("BATON_METRICS_TOKEN", "")

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["drivers.http.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "config.openapi.Described",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Baton",
    "DESCRIPTION": "Orders come in, nearby drivers are offered them, exactly one driver ends up holding each.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "list", "validatorUrl": None},
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATION_PARAMETERS": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enum_id_removal",
        "config.openapi.complete",
    ],
}

# --- Sign-in ---------------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# A depot has many people behind one address and a person may sit behind many: only both together are locked out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_LOCKOUT_CALLABLE = "config.problems.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
# Whether staff sign in with a code besides their password: off, optional (whoever has set it up) or required.
SECOND_FACTOR = env.text("BATON_SECOND_FACTOR", "optional")
if SECOND_FACTOR not in {"off", "optional", "required"}:
    raise ImproperlyConfigured("BATON_SECOND_FACTOR must be off, optional or required.")
OTP_TOTP_ISSUER = "Baton"
KNOX_TOKEN_MODEL = "drivers.DeviceToken"  # noqa: S105 (a model, not a secret)
# Its own token table is never used, and its migrations would create it all the same.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {"TOKEN_TTL": timedelta(days=30), "AUTO_REFRESH": False, "AUTH_HEADER_PREFIX": "Bearer"}
TICKET_SECONDS = 30

LOGIN_URL = "admin:login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_FAILURE_VIEW = "config.problems.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
if HTTPS:
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = env.words("BATON_TRUSTED_ORIGINS")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# --- Language, files, logs -------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = ["config.formats"]
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = env.text("BATON_STATIC_ROOT", str(BASE_DIR / ".local" / "static"))
MEDIA_ROOT = env.text("BATON_MEDIA_ROOT", str(BASE_DIR / ".local" / "media"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static.HashedFiles"},
}
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "config.static.BrowserLibraries",
]
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "config.logs.Formatter", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("BATON_LOG_LEVEL", "INFO")},
    "loggers": {
        # A refusal is an answer, not an incident.
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
        # A stack trace every second while Redis is away; dispatch.consumers.hub says it once.
        "channels_redis.pubsub": {"level": "CRITICAL"},
        # The library's logger is called so.
        "django-q": {"level": "WARNING"},
    },
}
