"""docs/walkthrough.md: its offline half is run as it stands; of the other half, the commands and options exist."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from proxy.cli.root import root
from tests import documents
from tests.infra.test_init import DUMMY
from tests.processes import free_port, require_program

PAGE = (documents.ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")


AWS, OURS = (documents.commands(PAGE, program) for program in ("aws", "cognito-sidecar"))


@pytest.mark.timeout(180)
async def test_the_offline_half_is_as_it_says(tmp_path: Path) -> None:
    require_program("curl")
    (tmp_path / "infra").symlink_to(documents.ROOT / "infra")
    emulator, sidecar, admin = (str(free_port()) for _ in range(3))
    ports = {"9229": emulator, "127.0.0.1:8080": f"127.0.0.1:{sidecar}", "127.0.0.1:9090": f"127.0.0.1:{admin}"}
    # Other ports than the usual ones, where somebody else may be.
    elsewhere = {"sidecar init": f"sidecar init --listen 127.0.0.1:{sidecar} --admin 127.0.0.1:{admin}"}
    assert await documents.run(PAGE, tmp_path, changed=ports | elsewhere, env=DUMMY) == ""
    assert os.listdir(tmp_path) == ["infra"], "it clears away what it made"


def test_it_has_both_halves() -> None:
    assert len(documents.steps(PAGE)) > 25
    assert len(AWS) >= 6
    assert len(OURS) >= 2


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_each_of_our_commands_exists(words: list[str]) -> None:
    command = root.get_command(click.Context(root), words[1])
    assert command is not None
    command.make_context(words[1], [word for word in words[2:] if word != "x"])


@pytest.mark.parametrize("words", AWS, ids=" ".join)
def test_each_of_awss_commands_exists(words: list[str]) -> None:
    assert documents.unknown_to_aws(words) == set()


def test_what_is_attached_by_hand_is_taken_off_before_its_stack_is_deleted() -> None:
    """IAM deletes no policy that is attached, so neither would CloudFormation."""
    made = [words[2] for words in AWS]
    assert made.index("attach-role-policy") < made.index("detach-role-policy") < made.index("delete-stack")
