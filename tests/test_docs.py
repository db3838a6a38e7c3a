"""What the documents say is so: commands, tree, settings, version, and examples that at least compile."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PACKAGES = ("proxy", "memory_core", "embedders", "config")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture
def readme() -> str:
    if not (ROOT / "README.md").exists():
        pytest.skip("README.md is not written yet")
    return read("README.md")


def test_readme_names_the_commands(readme: str):
    for command in ("make serve", "make demo", "make test"):
        assert command in readme


def test_readme_names_every_top_level_file_in_its_tree(readme: str):
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    tree = next((block for block in blocks if "proxy/" in block and "memory_core/" in block), "")
    assert tree, "README has no tree"
    for package in PACKAGES:
        for path in sorted((ROOT / package).glob("*.py")):
            if path.name not in ("__init__.py", "__main__.py"):
                assert re.search(rf"(?<![\w/]){path.name}\b", tree), f"README's tree lacks {package}/{path.name}"


def test_readme_names_no_make_target_that_is_missing(readme: str):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?<=`)make ([a-z-]+)", readme)) <= targets


def test_make_has_the_promised_targets_and_ci_runs_readme_s_test_command():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert targets >= set("help setup serve demo test check bench fix test-all clean".split())
    assert "\nmake test\n" in read(".ci/run")


def test_every_setting_stands_in_the_example_file():
    keys = re.findall(r"^#(\w+) = ", read("config/isocost.example.toml"), re.MULTILINE)
    assert set(keys) == set(Settings.model_fields)


def test_the_changelog_has_a_heading_for_this_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert {version, "Unreleased"} & set(headings)


def test_notice_names_every_asset():
    assets = [path for package in PACKAGES for path in (ROOT / package / "assets").glob("*")]
    assert assets
    for path in assets:
        assert path.relative_to(ROOT).as_posix() in read("NOTICE"), f"NOTICE lacks {path.name}"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_python_examples_compile(path: Path):
    compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.parametrize("path", sorted([*EXAMPLES.glob("*.sh"), ROOT / ".ci" / "run"]), ids=lambda path: path.name)
def test_shell_examples_parse_and_are_executable(path: Path):
    assert path.stat().st_mode & 0o111, f"chmod +x {path.name}"
    assert parses_as_shell(path.read_text(encoding="utf-8"))


def test_code_in_readme_compiles(readme: str):
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        if language == "python":
            compile(code, "README.md", "exec")
        elif language in ("sh", "bash"):
            assert parses_as_shell(code), code


def parses_as_shell(text: str) -> bool:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash to parse shell with")
    return subprocess.run([bash, "-n"], input=text, text=True, check=False, timeout=10).returncode == 0


def test_examples_readme_links_every_example():
    linked = set(re.findall(r"\]\(([\w.-]+)\)", read("examples/README.md")))
    assert linked == {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh", ".yml", ".yaml")}


def deployments() -> Iterator[tuple[str, dict[str, str]]]:
    """The ISOCOST_* variables that each way of running a container sets."""
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load(read("examples/docker-compose.yml"))
    yield "docker-compose.yml", compose["services"]["isocost"]["environment"]
    for document in yaml.safe_load_all(read("examples/kubernetes-sidecar.yaml")):
        if document["kind"] == "Deployment":
            pod = document["spec"]["template"]["spec"]
            container = next(one for one in pod["containers"] if one["name"] == "isocost")
            yield "kubernetes-sidecar.yaml", {one["name"]: one["value"] for one in container["env"]}
    yield "Dockerfile", dict(re.findall(r"^\s*(?:ENV )?(ISOCOST_\w+)=(\S+)", read("Dockerfile"), re.MULTILINE))


def test_what_the_containers_set_are_settings(tmp_path: Path):
    empty = tmp_path / "empty.toml"
    empty.touch()
    for place, environ in deployments():
        assert len(environ) >= 2, place
        assert all(isinstance(value, str) for value in environ.values()), f"{place}: quote the numbers"
        load_settings({}, empty, environ)


def test_the_container_drains_before_it_is_killed():
    yaml = pytest.importorskip("yaml")
    for document in yaml.safe_load_all(read("examples/kubernetes-sidecar.yaml")):
        if document["kind"] == "Deployment":
            pod = document["spec"]["template"]["spec"]
            environ = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
            assert 2 * float(environ["ISOCOST_DRAIN_TIMEOUT_S"]) + 5 < pod["terminationGracePeriodSeconds"]


def test_the_image_asks_healthz_and_runs_as_nobody_special():
    dockerfile = read("Dockerfile")
    assert re.findall(r"^USER (\d+)", dockerfile, re.MULTILINE) == ["10001"]
    check = re.search(r"^HEALTHCHECK .*\n\s+CMD (\[.+\])$", dockerfile, re.MULTILINE)
    assert check is not None
    python, option, code = json.loads(check[1])
    assert (python, option) == ("python", "-c")
    assert "/healthz" in code
    compile(code, "Dockerfile", "exec")
