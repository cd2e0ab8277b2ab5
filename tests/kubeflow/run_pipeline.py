"""Run a compiled pipeline with KFP's local runner, one step after the other: FILE, its parameters as JSON."""

import json
import sys

from kfp import components, local

local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="outputs")
components.load_component_from_file(sys.argv[1])(**json.loads(sys.argv[2]))
