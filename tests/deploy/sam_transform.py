"""Expands a template as SAM does in AWS, with its roles, permissions and stages: sam_transform.py TEMPLATE >EXPANDED

To be run by the Python of the SAM CLI's environment.
"""

import json
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """The template names none of AWS's own policies, which SAM would ask AWS for."""

    def load(self):
        return {}


template = yaml_parse(Path(sys.argv[1]).read_text())
# `sam package` would put the code's address here.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=1)
