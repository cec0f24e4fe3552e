"""Puts this folder on the path, so that every test finds `shared_data`, and keeps linear algebra to one thread a process.

Tests run side by side on all cores; four threads in each of them wait for each other and take ten times as long.
"""

import os

from hypothesis import HealthCheck, settings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Nothing of a test may depend on how busy the machine is: neither a deadline nor the pace of drawing inputs.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
