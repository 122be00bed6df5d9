"""Holds manifests against Kubernetes' own schemas, strictly: run by the Python of `make helm-tools`, not by the tests'.

Standard input is JSON: by version of Kubernetes, documents. Standard output is a JSON list of what is wrong.
"""

from __future__ import annotations

import functools
import json
import sys

import kubernetes_validate
from kubernetes_validate import utils

# It reads a megabyte of definitions anew for each document.
utils.schema_contents = functools.cache(utils.schema_contents)


def main() -> None:
    problems = []
    for version, documents in json.load(sys.stdin).items():
        for document in documents:
            name = f"{version}: {document['kind']} {document['metadata']['name']}"
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
            except kubernetes_validate.SchemaNotFoundError:
                problems.append(f"{name}: this version has no such kind")
    json.dump(problems, sys.stdout)


if __name__ == "__main__":
    main()
