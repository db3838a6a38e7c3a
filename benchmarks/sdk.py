"""The openai SDK's own tests of every endpoint, against an OpenAPI mock: directly and through the proxy, the same pass.

    python -m benchmarks.sdk --python .sdk-tests/bin/python --folder .sdk-tests/work

`make sdk-tests` makes the folder: the SDK's sdist, a venv for its tests, prism (npm) and OpenAI's API description. Many
tests fail on both sides, since mock and SDK know different versions of the API; what counts is that none differs.
"""

import argparse
import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.wire_latency import said
from benchmarks.wire_places import free_port, isocost, running

OUTCOMES = ("failure", "error", "skipped")
SHOWN = 20


def outcomes(report: Path) -> dict[str, str]:
    """Of each test in a JUnit file."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in OUTCOMES]
        found[f"{case.get('classname')}::{case.get('name')}"] = kinds[0] if kinds else "passed"
    return found


def differing(direct: Mapping[str, str], proxied: Mapping[str, str]) -> list[str]:
    """The tests that went another way, each with both outcomes."""
    names = sorted(direct.keys() | proxied.keys())
    ways = [(name, direct.get(name, "absent"), proxied.get(name, "absent")) for name in names]
    return [f"{name}: {one} directly, {other} through the proxy" for name, one, other in ways if one != other]


async def ran(python: Path, folder: Path, name: str, port: int) -> dict[str, str]:
    """The SDK's tests against a port."""
    said(f"the SDK's tests, {name}")
    report = folder / f"{name}.xml"
    report.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "pytest", "tests/api_resources", "-n", "2", "-q", "-p", "no:cacheprovider"),
        f"--junitxml={report}",
        cwd=folder / "sdk",
        env={**os.environ, "TEST_API_BASE_URL": f"http://127.0.0.1:{port}", "DEFER_PYDANTIC_BUILD": "false"},
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    await process.wait()
    return outcomes(report)


async def compare(python: Path, folder: Path) -> bool:
    """Both sides; True if no test differs."""
    port = free_port()
    prism = ["node", "node_modules/@stoplight/prism-cli/dist/index.js", "mock", "--host", "127.0.0.1"]
    started = [*prism, "-p", str(port), "openapi.yml"]
    os.chdir(folder)
    async with running(started, {}, (0, 1), port, "/models"), isocost(port, (0, 1)) as proxy:
        direct = await ran(python, folder, "direct", port)
        proxied = await ran(python, folder, "proxied", proxy.port)
    print("| | tests | passed | failed | skipped |\n|---|---:|---:|---:|---:|")
    for name, found in (("directly", direct), ("through isocost", proxied)):
        counted = Counter(found.values())
        failed = counted["failure"] + counted["error"]
        print(f"| {name} | {len(found)} | {counted['passed']} | {failed} | {counted['skipped']} |")
    differ = differing(direct, proxied)
    print(f"\n{len(differ)} differ", *differ[:SHOWN], sep="\n")
    return bool(direct) and not differ


def main() -> int:
    """0 if the same tests pass, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk")
    parser.add_argument("--python", type=Path, required=True, help="of the venv with the SDK")
    parser.add_argument("--folder", type=Path, required=True, help="with sdk/, node_modules/ and openapi.yml")
    given = parser.parse_args()
    return 0 if asyncio.run(compare(given.python.absolute(), given.folder.absolute())) else 1


if __name__ == "__main__":
    sys.exit(main())
