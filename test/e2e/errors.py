#!/usr/bin/env python3
"""Bad input and faults, by the command, on real servers: each gets a sentence that says what to do and the right exit status,
shows no secret, and loses and doubles nothing. docs/TESTING.md has the list of faults and cases.

  errors.py [NAME]…      NAME: a part of a case's name
"""
import subprocess
import sys
import time

import errors_configuration  # noqa: F401  (each adds its cases)
import errors_disk  # noqa: F401
import errors_kafka  # noqa: F401
import errors_source  # noqa: F401
import errors_target  # noqa: F401
import errors_twice  # noqa: F401
from errors_world import CASES, DATABASE, Failed, World


def main():
    world = World()
    world.sql(f"CREATE DATABASE {DATABASE}", "postgres")
    failed = []
    chosen = [c for c in CASES if len(sys.argv) < 2 or any(part in c[0] for part in sys.argv[1:])]
    try:
        for name, function in chosen:
            begun = time.monotonic()
            try:
                function(world)
                print(f"ok      {name} ({time.monotonic() - begun:.1f} s)", flush=True)
            except (Failed, OSError, subprocess.SubprocessError) as problem:
                failed.append(name)
                print(f"FAILED  {name}\n{problem}", flush=True)
            finally:
                world.end_case()
    finally:
        world.close()
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    sys.exit(1 if failed or not chosen else 0)


main()
