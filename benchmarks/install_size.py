"""What an application gets with `pip install .`: packages, megabytes, and the cost of a producer.

    python benchmarks/install_size.py            print the table
    python benchmarks/install_size.py --write    put it on the page too

It installs the checkout without extras into a new environment, with the versions of requirements/run.txt.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "how-to" / "log-in-from-a-web-page.md"
MARKS = ("<!-- made by benchmarks/install_size.py --write -->\n", "<!-- end -->")
RUNS = 9
# A producer connects to Redis at its first send.
SETTINGS = {
    "AUTH0_DOMAIN": "tenant.example.com",
    "AUTH0_CLIENT_ID": "application",
    "GATEPOST_REDIS_URL": "redis://127.0.0.1:1/0",
    "GATEPOST_SEALING_KEYS": "key:" + "A" * 43,
    "GATEPOST_FINGERPRINT_KEY": "A" * 43,
}
PRODUCER = """
import json, resource, sys, time
begun = time.perf_counter(); cpu = time.process_time()
from gatepost import Producer
producer = Producer()
print(json.dumps({
    "seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "modules": len(sys.modules), "ours": sum(name.startswith("gatepost") for name in sys.modules),
}))
"""


def install(directory: Path) -> Path:
    """Return the Python of a new environment with Gatepost and nothing that it does not need."""
    venv.create(directory, with_pip=False, symlinks=True)
    python = directory / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*uv, "--constraint", "requirements/run.txt", "."], cwd=CHECKOUT, check=True)
    return python


def packages_in(directory: Path) -> dict[str, float]:
    """Return the megabytes of each folder and file of the environment's packages. Compiled modules do not count."""
    (packages,) = (directory / "lib").glob("python*/site-packages")
    sizes = {}
    for entry in packages.iterdir():
        files = entry.rglob("*") if entry.is_dir() else [entry]
        sizes[entry.name] = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc") / 1e6
    return sizes


def producers(python: Path) -> dict[str, Any]:
    """Return the median cost of a process that makes a producer."""
    printed = [_printed(python) for _ in range(1 + RUNS)]
    found = [json.loads(one) for one in printed[1:]]  # the first run compiled the modules
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def _printed(python: Path) -> bytes:
    return subprocess.run([python, "-c", PRODUCER], check=True, stdout=subprocess.PIPE, env=SETTINGS, cwd="/").stdout


def table() -> str:
    """Measure, and return a Markdown table."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "environment"
        python = install(directory)
        sizes, cost = packages_in(directory), producers(python)
    distributions = sum(name.endswith(".dist-info") for name in sizes)
    ours = sum(size for name, size in sizes.items() if name.startswith("gatepost"))
    largest = sorted(((size, name) for name, size in sizes.items() if not name.startswith("gatepost")), reverse=True)[
        :3
    ]
    rows = {
        "packages": f"{distributions}, Gatepost included",
        "size on disk, without `.pyc` files": f"{sum(sizes.values()):.0f} MB; Gatepost itself {ours:.1f} MB",
        "largest packages": ", ".join(f"{name} {size:.0f} MB" for size, name in largest),
        "time to import and construct a `Producer`": f"{cost['seconds']:.2f} s",
        "memory of the process afterwards": f"{cost['memory']:.0f} MB",
        "modules loaded by then": f"{cost['modules']:.0f}, {cost['ours']:.0f} of them from Gatepost",
    }
    lines = [
        f"| Python {platform.python_version()} | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and write it to the page if asked."""
    made = table()
    print(made, end="")
    if "--write" in sys.argv[1:]:
        begin, end = map(re.escape, MARKS)
        text, count = re.subn(f"(?<={begin}).*?(?={end})", lambda _: f"\n{made}\n", PAGE.read_text(), flags=re.DOTALL)
        if count != 1:
            sys.exit(f"{PAGE.name} has no place for the table")
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
