"""Writes a SAM template as CloudFormation gets it, by the translator that AWS runs itself."""

import json
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """The template names no managed policies by SAM's short names, so nothing is looked up."""

    def load(self):
        return {}


with open(sys.argv[1]) as file:
    template = yaml_parse(file)
# CloudFormation replaces the path by the object that was uploaded, before the translator sees it.
for resource in template["Resources"].values():
    if "CodeUri" in resource.get("Properties", {}):
        resource["Properties"]["CodeUri"] = {"Bucket": "code", "Key": "code.zip"}
parameters = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
json.dump(transform(template, parameters, NoManagedPolicies()), sys.stdout, indent=2)
