"""The driver's way in and out: sign in, sign out, a ticket for the socket."""

from django.conf import settings
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dispatch import services
from dispatch.api.base import DriverView
from dispatch.api.driver import profile
from drivers import signin, tickets
from drivers.http import StrictSerializer, Text, checked, rfc3339


class SignInSerializer(StrictSerializer):
    username = Text(max_length=150)
    password = Text(max_length=1000, trim_whitespace=False)
    device = Text(max_length=100, allow_blank=True, default="")


class SignInView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]
    http_method_names = ["post"]

    def post(self, request: Request) -> Response:
        given = checked(SignInSerializer, request.data)
        signed_in = signin.sign_in(request=request._request, **given)
        return Response(
            {
                "token": signed_in.token,
                "expires_at": rfc3339(signed_in.expires_at),
                "driver": profile(signed_in.driver.pk),
            },
            headers={"Cache-Control": "no-store"},
        )


class SignOutView(DriverView):
    def post(self, request: Request) -> Response:
        checked(StrictSerializer, request.data)
        services.sign_out(driver_id=self.driver.pk, token_digest=request.auth.pk)
        return Response(status=204)


class TicketView(DriverView):
    def post(self, request: Request) -> Response:
        checked(StrictSerializer, request.data)
        ticket = tickets.issue_ticket(self.driver.pk, request.auth.pk)
        return Response({"ticket": ticket, "expires_in": settings.TICKET_SECONDS})
