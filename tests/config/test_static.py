"""What browsers get of our modules: every import under a hashed name, types in comments left alone."""

import re
from pathlib import Path

IMPORTED = re.compile(r'^(?:import|export)\b[^;"]*"(\.[^"]+)";|[^{ ]import\("(\.[^"]+)"\)(?!\.[A-Z])', re.MULTILINE)
HASHED = re.compile(r"\.[0-9a-f]{12}\.m?js$")


def modules(root: Path) -> list[Path]:
    """Ours, under their hashed names."""
    return [
        path for app in ("driver", "dispatch/board") for path in (root / app).rglob("*.js") if HASHED.search(path.name)
    ]


def test_every_import_of_a_module_names_a_hashed_file_that_is_there(collected_files: Path) -> None:
    found = 0
    for module in modules(collected_files):
        for match in IMPORTED.finditer(module.read_text()):
            target = match[1] or match[2]
            assert HASHED.search(target), f"{module.name} imports {target}"
            assert (module.parent / target).resolve().is_file(), f"{module.name} imports {target}"
            found += 1
    assert found > 50


def test_a_type_in_a_comment_is_no_import(collected_files: Path) -> None:
    typed = [
        module
        for module in modules(collected_files)
        if re.search(r'import\("\./types\.js"\)\.[A-Z]', module.read_text())
    ]
    assert typed != []


def test_only_what_pages_load_of_the_libraries_is_published(collected_files: Path) -> None:
    published = {
        path.parts[path.parts.index("node_modules") + 1] for path in (collected_files / "node_modules").rglob("*.*js")
    }
    assert published == {"idb", "maplibre-gl", "uplot"}
    total = sum(path.stat().st_size for path in (collected_files / "node_modules").rglob("*"))
    assert total < 6_000_000
