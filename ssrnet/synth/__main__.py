"""``python -m ssrnet.synth --out DIR --identities N --seed S [--masks] [--workers W]``"""

from __future__ import annotations

import argparse
import sys
from dataclasses import MISSING, fields
from pathlib import Path

from ssrnet.errors import SSRNetError
from ssrnet.synth.generate import console_progress, generate
from ssrnet.synth.settings import SynthSettings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="ssrnet synth", description="Render the synthetic vehicle city in VeRi-776's layout."
    )
    for field in fields(SynthSettings):
        name = "--" + field.name.replace("_", "-")
        if field.default is MISSING:
            parser.add_argument(name, type=Path, required=True)
        elif isinstance(field.default, bool):
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    try:
        report = generate(SynthSettings(**vars(parser.parse_args(arguments))), console_progress())
    except SSRNetError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{report.taken} photographs taken, {report.total} in all, {report.rows} rows in manifest.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
