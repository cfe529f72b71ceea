import io

from django.core.management import call_command

from drivers import push


def test_it_prints_settings_that_fit_together() -> None:
    out, said = io.StringIO(), io.StringIO()

    call_command("create_push_keys", stdout=out, stderr=said)

    settings = dict(line.split("=", 1) for line in out.getvalue().splitlines())
    assert settings.keys() == {"BATON_PUSH_PRIVATE_KEY", "BATON_PUSH_CONTACT"}
    assert push._public_key_of(settings["BATON_PUSH_PRIVATE_KEY"]) in said.getvalue()
