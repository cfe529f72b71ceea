"""The driver's addresses under /api/v1/. `orders/<id>/` itself is shared with the intake and the console."""

from django.urls import path

from dispatch.api import acts, auth, driver, proofs, push

urlpatterns = [
    path("auth/login/", auth.SignInView.as_view(), name="sign-in"),
    path("auth/logout/", auth.SignOutView.as_view(), name="sign-out"),
    path("auth/ticket/", auth.TicketView.as_view(), name="ticket"),
    path("driver/", driver.ProfileView.as_view(), name="driver"),
    path("driver/heartbeat/", driver.HeartbeatView.as_view(), name="heartbeat"),
    path("driver/sync/", driver.SyncView.as_view(), name="sync"),
    path("driver/messages/", driver.MessagesView.as_view(), name="driver-messages"),
    path("driver/messages/<int:message_id>/read/", driver.MessageReadView.as_view(), name="driver-message-read"),
    path("driver/figures/", driver.FiguresView.as_view(), name="figures"),
    path("driver/push/", push.PushView.as_view(), name="push"),
    path("driver/orders/", driver.HistoryView.as_view(), name="driver-orders"),
    path("orders/<uuid:order_id>/accept/", acts.AcceptView.as_view(), name="accept"),
    path("orders/<uuid:order_id>/decline/", acts.DeclineView.as_view(), name="decline"),
    path("orders/<uuid:order_id>/release/", acts.ReleaseView.as_view(), name="release"),
    path("orders/<uuid:order_id>/pick-up/", acts.PickUpView.as_view(), name="pick-up"),
    path("orders/<uuid:order_id>/deliver/", acts.DeliverView.as_view(), name="deliver"),
    path("orders/<uuid:order_id>/fail/", acts.FailView.as_view(), name="fail"),
    path("orders/<uuid:order_id>/proofs/", proofs.ProofsView.as_view(), name="proofs"),
]
