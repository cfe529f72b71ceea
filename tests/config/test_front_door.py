from django.test import Client


def test_the_bare_address_leads_to_the_back_office() -> None:
    answer = Client().get("/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
