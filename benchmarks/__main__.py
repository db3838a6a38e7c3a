"""`python -m benchmarks`: every measurement of this project that needs nothing but this checkout, in one go."""

import platform
import sys

from benchmarks import locomo_http, overhead, recall_ablation

MEASUREMENTS = (overhead.main, locomo_http.main, lambda: recall_ablation.main() == 0)


def main() -> int:
    """Print each table; 1 if a bar is missed."""
    print(f"{platform.machine()}, Python {platform.python_version()}\n")
    held = [measure() for measure in MEASUREMENTS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
