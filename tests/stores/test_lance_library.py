"""LanceDB starts without the client of remote catalogs, which is whole for whoever asks for it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from steelyard.stores.lance_library import REMOTE, connect
connect(Path(sys.argv[1]))
built = [name for name in sys.modules if name.startswith(f"{REMOTE}.api.")]
import lance_namespace_urllib3_client as client
print(built, client.TableApi.__name__, client.models.CreateTableRequest.__name__)
"""


def test_the_client_of_remote_catalogs_is_made_when_asked_for_and_not_before(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "[] TableApi CreateTableRequest\n", done.stderr
