"""Azure's own files of a deployment, in each form that people have: what settings they hold.

deployment.yml (v2), deploymentconfig.json (v1), JSON of Azure Resource Manager, and Python code of both SDKs.
"""

from planner.deployment_files.python_call import looks_like_python, settings_of_v1
from planner.deployment_files.read import from_document, read_deployment_file
from planner.deployment_files.settings import AzureFile

__all__ = ["AzureFile", "from_document", "looks_like_python", "read_deployment_file", "settings_of_v1"]
