"""AWS Secrets Manager: which secrets are read when, and what is kept of them.

    schedule.py   when a secret is due, and how often at most: pure
    reader.py     boto3, on a thread of its own; what its errors mean
    store.py      what is held; reads without the event loop waiting for boto3
    loading.py    a configuration with the secrets that it needs, for the service and for commands
    status.py     what can be told of it

`proxy.config` says which secrets a configuration needs and takes its values from what is held here; `proxy.service`
and the commands stand between the two. Without a value from Secrets Manager nothing here does anything, and boto3 is
imported only by a thread that reads. No text of a secret may leave this room but inside a `Value`.
"""

from __future__ import annotations

from proxy.aws.loading import Load, Loader, load_once
from proxy.aws.status import ReadError, SecretStatus
from proxy.aws.store import SecretStore

__all__ = ["Load", "Loader", "ReadError", "SecretStatus", "SecretStore", "load_once"]
