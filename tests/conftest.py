"""Puts this folder on the path, so that every test finds `shared_data`, and keeps linear algebra to one thread a process.

Tests run side by side on all cores; four threads in each of them wait for each other and take ten times as long.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
