"""A mutant: while Serve builds the next version, HAProxy sees no replica."""

import os
from pathlib import Path

from deployments.serving import serve_controller

serve_controller._serve_while_building.__name__  # noqa: B018
serve_controller._serve_while_building = lambda: None
Path(os.environ["HOLDFAST_HOME"], "mutated").touch()
