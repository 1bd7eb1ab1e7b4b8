"""The pytest plugin, in test suites of applications."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT
from support.markdown_blocks import blocks_of

if TYPE_CHECKING:
    from pathlib import Path

PAGE = CHECKOUT / "docs" / "how-to" / "test-your-application.md"
SUITES = {
    name: block.code
    for block in blocks_of(PAGE)
    if block.language == "python" and (name := block.code.partition("\n")[0].removeprefix("# ")).startswith("test_")
}


def run_pytest(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GATEPOST_", "AUTH0_", "PYTEST_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", SUITES)
def test_the_suites_of_the_page_pass(name: str, tmp_path: Path) -> None:
    """In a directory without any configuration."""
    (tmp_path / name).write_text(SUITES[name])
    done = run_pytest(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{SUITES[name].count('def test_')} passed", done.stdout), done.stdout


def test_the_page_has_a_suite_of_each_fixture() -> None:
    """In the memory, with a tenant, and with everything."""
    assert list(SUITES) == ["test_login.py", "test_tenant.py", "test_world.py"]


def test_a_suite_that_asks_for_no_fixture_loads_nothing(tmp_path: Path) -> None:
    """Nothing is autouse, and no package of Gatepost but the plugin is imported."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_other():\n"
        "    ours = {name for name in sys.modules if name.startswith('gatepost')}\n"
        "    assert ours == {'gatepost_testing', 'gatepost_testing.plugin'}\n"
    )
    done = run_pytest(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_markers_are_known_and_reach_the_simulator(tmp_path: Path) -> None:
    """Settings, https, and the clock; a class's fault comes before that of its test."""
    (tmp_path / "test_markers.py").write_text(
        "import pytest\n"
        "@pytest.mark.gatepost_settings(slow_s=0.25, quota={'plan': 'free'})\n"
        "@pytest.mark.gatepost_tls\n"
        "def test_settings(gatepost_simulator):\n"
        "    assert gatepost_simulator.url.startswith('https://')\n"
        "    found = gatepost_simulator.control.settings()\n"
        "    assert (found['slow_s'], found['quota']['plan']) == (0.25, 'free')\n"
        "@pytest.mark.gatepost_clock(advance_s=3600, frozen=True)\n"
        "def test_clock(gatepost_simulator):\n"
        "    import time\n"
        "    now = gatepost_simulator.control.now()\n"
        "    assert now > time.time() + 3000\n"
        "    assert gatepost_simulator.control.now() == now\n"
        "@pytest.mark.gatepost_fault(status=500)\n"
        "class TestFaults:\n"
        "    @pytest.mark.gatepost_fault(status=503)\n"
        "    def test_order(self, gatepost_simulator):\n"
        "        assert [fault['status'] for fault in gatepost_simulator.control.faults()] == [500, 503]\n"
    )
    done = run_pytest(tmp_path, "--strict-markers")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
