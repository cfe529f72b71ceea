"""The second factor in the back office: the code on the sign-in page, and everybody's own page to set one up."""

from base64 import b32encode
from typing import Any
from urllib.parse import urlencode

import qrcode
from django import forms
from django.contrib import messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django_otp import login as showed
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex
from qrcode.image.svg import SvgPathImage

from dispatch import services
from drivers import second_factor
from drivers.errors import Invalid, Throttled
from drivers.second_factor import Standing

#: The key that is on the user's screen and not yet believed.
PENDING = "second_factor_key"


class SignInForm(AdminAuthenticationForm):
    """Name, password and, from those who have set one up, a code."""

    code = forms.CharField(
        required=False,
        max_length=40,
        strip=True,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def confirm_login_allowed(self, user: User) -> None:
        """Name and password were right. A wrong code counts like a wrong password, and no session is opened."""
        super().confirm_login_allowed(user)
        if not second_factor.is_asked(user.pk):
            return
        code = self.cleaned_data.get("code", "")
        if not code:
            raise _refused("This account has a second factor: enter the code of its app, or a backup code.")
        try:
            # Noted in the session when Django signs the user in.
            user.otp_device = second_factor.check_code(user_id=user.pk, code=code)  # type: ignore[attr-defined]
        except Throttled as refusal:
            raise _refused(f"Too many wrong codes. Wait {refusal.data['retry_after']} s before the next.") from refusal
        except Invalid as refusal:
            # django-axes counts it, by name and address.
            credentials = {"username": user.get_username()}
            user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
            raise _refused(refusal.data["errors"]["code"][0]) from refusal


def _refused(sentence: str) -> ValidationError:
    return ValidationError({"code": [sentence]})


def standing_of(request: HttpRequest) -> Standing:
    """Of the signed-in user's session; read once per request."""
    found: Standing | None = getattr(request, "_second_factor", None)
    if found is None:
        found = second_factor.standing(user_id=int(request.user.pk or 0), session=request.session)
        request._second_factor = found  # type: ignore[attr-defined]
    return found


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Everybody's own second factor: set it up, renew the backup codes, remove it. For staff who are signed in, and also
    for those who may do nothing else before they have one."""
    if not second_factor.is_offered():
        raise Http404
    user = request.user
    if not isinstance(user, User) or not (user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    state = standing_of(request)
    if state is Standing.CODE_MISSING:
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    shown = Page(request, user, {**context, "is_led_here": state is Standing.NOT_ENROLLED, "next": _next(request)})
    return shown.act() if request.method == "POST" else shown.show()


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else reverse("admin:index")


class Page:
    def __init__(self, request: HttpRequest, user: User, context: dict[str, Any]) -> None:
        self.request, self.user, self.context = request, user, context

    def show(self, *, error: str = "", act: str = "") -> HttpResponse:
        app = second_factor.app_of(self.user.pk)
        context = {**self.context, "title": "Second factor", "app": app, "error": error, "failed_act": act}
        if app is None:
            pending = TOTPDevice(user=self.user, key=self._pending_key())
            context |= {"qr": picture(pending.config_url), "secret": spelled(pending.bin_key)}
        else:
            context |= {"codes_left": services.backup_codes_left(user_id=self.user.pk)}
        return TemplateResponse(self.request, "admin/second_factor.html", context)

    def act(self) -> HttpResponse:
        act, code = self.request.POST.get("act", ""), self.request.POST.get("code", "")[:40]
        try:
            match act:
                case "enrol":
                    return self._enrol(code)
                case "renew":
                    codes = services.renew_backup_codes(user_id=self.user.pk, code=code)
                    self._log("Made new backup codes.")
                    return self._codes(codes)
                case "remove":
                    services.give_up_second_factor(user_id=self.user.pk, code=code)
                    self._log("Removed the second factor.")
                    messages.success(self.request, "Your second factor is removed.")
                    return HttpResponseRedirect(reverse("admin:second_factor"))
        except Throttled as refusal:
            wait = refusal.data["retry_after"]
            return self.show(error=f"Too many wrong codes. Wait {wait} s before the next.", act=act)
        except Invalid as refusal:
            return self.show(error=refusal.data["errors"]["code"][0], act=act)
        return HttpResponseRedirect(reverse("admin:second_factor"))

    def _enrol(self, code: str) -> HttpResponse:
        key = self._pending_key()
        app, codes = services.enrol_second_factor(user_id=self.user.pk, key=key, code=code)
        self.request.session.pop(PENDING, None)
        # This session has just shown it; the user's other sessions have not, and must.
        showed(self.request, app)
        self._log("Set up a second factor.")
        return self._codes(codes)

    def _codes(self, codes: list[str]) -> HttpResponse:
        context = {**self.context, "title": "Backup codes", "codes": codes}
        return TemplateResponse(self.request, "admin/second_factor_codes.html", context)

    def _pending_key(self) -> str:
        """Kept in the session until it is believed, so that a page that is loaded again shows the same picture."""
        key: str = self.request.session.get(PENDING) or random_hex(20)
        if PENDING not in self.request.session:
            self.request.session[PENDING] = key
        return key

    def _log(self, sentence: str) -> None:
        LogEntry.objects.log_actions(self.user.pk, [self.user], CHANGE, sentence, single_object=True)


def picture(text: str) -> SafeString:
    """A QR code as inline SVG: no file, no script, nothing that the Content-Security-Policy minds."""
    drawn = qrcode.make(text, image_factory=SvgPathImage, box_size=10, border=2)
    # Drawn by the library from numbers; the text itself is not in it.
    return SafeString(drawn.to_string(encoding="unicode"))


def spelled(key: bytes) -> str:
    """For typing it in: base32, in groups of four."""
    text = b32encode(key).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def set_up_address(request: HttpRequest) -> str:
    """Where to lead somebody who must set one up first."""
    query = urlencode({"next": _next(request)})
    return f"{reverse('admin:second_factor')}?{query}"
