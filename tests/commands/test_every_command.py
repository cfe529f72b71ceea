from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[2]
OWN = {
    path.stem: path
    for path in ROOT.glob("*/management/commands/*.py")
    if path.stem != "__init__" and "tests" not in path.parts
}


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_command_has_a_test(name: str) -> None:
    tests = list((ROOT / "tests").rglob(f"test_{name}.py"))
    assert tests, f"The command {name} has no test: write tests/commands/test_{name}.py."


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name in get_commands()
    command = load_command_class(get_commands()[name], name)
    assert len(command.help) > 30
    with pytest.raises(SystemExit) as ended:
        command.create_parser("manage.py", name).parse_args(["--help"])
    assert ended.value.code == 0


def test_there_are_commands() -> None:
    assert {"audit", "create_api_key", "create_drivers"} <= OWN.keys()
