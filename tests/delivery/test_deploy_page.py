"""Every command of docs/deploy.md is parsed by the program that it is for, so that no flag is made up."""

import json
import re
import shlex
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from phasegate.cli.main import app
from tests.no_skips import lacking

ROOT = Path(__file__).parents[2]
VALUES = {
    "PROJECT": "my-phasegate",
    "REGION": "us-central1",
    "BILLING": "000000-000000-000000",
    "PHASEGATE_BUCKET": "my-phasegate-phasegate",
    "WORKER": "https://worker.example",
    "PWD": "/somewhere",
    "role": "run.admin",
}


@lru_cache(maxsize=1)
def lines() -> tuple[str, ...]:
    """The commands of the page, one a line, those inside of others by themselves."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    found: list[str] = []
    for block in re.findall(r"```\n(.*?)```", text, re.DOTALL):
        for line in block.strip().splitlines():
            plain = re.sub(r"\$\{?(\w+)\}?", lambda m: VALUES.get(m[1], m[0]), line.strip())
            while "$(" in plain:
                begin = plain.rindex("$(")
                end = closing(plain, begin + 2)
                found.append(plain[begin + 2 : end])
                plain = f"{plain[:begin]}substituted{plain[end + 1 :]}"
            found.append(plain)
    return tuple(found)


def closing(text: str, begin: int) -> int:
    """Where the parenthesis ends in which ``begin`` lies."""
    depth = 1
    for at in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return at
    raise ValueError(f"a parenthesis is not closed: {text}")


def commands(program: str) -> list[list[str]]:
    """Words of the commands of one program, without what stands before it or after a pipe."""
    found = []
    for line in lines():
        words = shlex.split(line)
        names = [word if word.startswith("-") else Path(word).name for word in words]
        if program in names[:5]:
            found.append([program, *words[names.index(program) + 1 :]])
    return [words[: words.index("|")] if "|" in words else words for words in found]


def gcloud_problems(asked: list[str]) -> dict[str, str]:
    """command -> what gcloud's own parser has against it."""
    done = subprocess.run(
        [str(shutil.which("gcloud")), "meta", "lint-gcloud-commands", "--commands-file", "/dev/stdin"],
        input=json.dumps([{"command_string": each} for each in asked]),
        capture_output=True,
        text=True,
        check=True,
    )
    return {each["command_string"]: each["error_message"] for each in json.loads(done.stdout) if not each["success"]}


@pytest.mark.skipif(
    not shutil.which("gcloud"), reason=lacking("gcloud", "see https://cloud.google.com/sdk/docs/install")
)
def test_every_gcloud_command_is_one_that_gcloud_knows() -> None:
    asked = [shlex.join(words) for words in commands("gcloud")]
    assert len(asked) > 20
    assert gcloud_problems(asked) == {}


@pytest.mark.skipif(
    not shutil.which("gcloud"), reason=lacking("gcloud", "see https://cloud.google.com/sdk/docs/install")
)
def test_a_made_up_flag_would_be_found() -> None:
    assert gcloud_problems(["gcloud projects list --made-up"]) != {}


@pytest.mark.skipif(not shutil.which("terraform"), reason=lacking("terraform", "1.9 or newer"))
def test_every_terraform_command_is_one_that_terraform_knows(tmp_path: Path) -> None:
    asked = commands("terraform")
    assert len(asked) > 8
    for words in asked:
        there = [f"-chdir={tmp_path}" if word.startswith("-chdir=") else word for word in words]
        done = subprocess.run(there, capture_output=True, text=True, check=False, cwd=tmp_path, input="")
        said = done.stderr + done.stdout
        assert "flag provided but not defined" not in said and "Usage:" not in said, f"{words}: {said}"


def test_every_folder_file_and_target_that_is_named_is_there() -> None:
    for words in commands("terraform"):
        assert "-chdir=infra/terraform" in words
    for words in commands("make"):
        assert re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv"), re.M)
    copied = [words[1] for line in lines() if (words := shlex.split(line))[0] == "cp"]
    assert copied
    for name in copied:
        assert (ROOT / name).is_file(), name
    text = (ROOT / "docs" / "deploy.md").read_text()
    for name in re.findall(r"\]\((?:\.\./)?([\w./-]+)\)", text):
        assert (ROOT / name).exists() or (ROOT / "docs" / name).exists(), name


def test_every_delivery_is_told_whose_values_it_applies_and_a_check_needs_none() -> None:
    builds = [words for words in commands("gcloud") if words[1:3] in (["builds", "submit"], ["builds", "triggers"])]
    of_checks = [words for words in builds if "cloudbuild-check.yaml" in words]
    asked = [words for words in builds if "run" not in words and words not in of_checks]
    assert (len(of_checks), len(asked)) == (3, 4)
    for words in asked:
        assert "_VARIABLES=environments/mine.tfvars" in words[words.index("--substitutions") + 1]


def test_every_output_that_is_read_is_there() -> None:
    outputs = (ROOT / "infra" / "terraform" / "outputs.tf").read_text()
    for words in commands("terraform"):
        if "output" in words and (name := words[-1]) != "output":
            assert f'output "{name}"' in outputs, name


def test_every_variable_that_is_given_is_there() -> None:
    variables = (ROOT / "infra" / "terraform" / "variables.tf").read_text()
    given = {word.split("=")[1] for words in commands("terraform") for word in words if word.startswith("-var=")}
    assert given
    for name in given:
        assert f'variable "{name}"' in variables, name


def test_every_phasegate_command_is_one_that_phasegate_knows() -> None:
    group: Any = typer.main.get_command(app)
    asked = commands("phasegate")
    assert len(asked) > 3
    for words in asked:
        context = group.make_context("phasegate", words[1:], ignore_unknown_options=False)
        _, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        command.make_context(command.name, rest, parent=context)


def test_every_kickoff_is_a_request_that_the_starter_takes() -> None:
    from phasegate.domain.messages.kickoff import Kickoff

    sent = [words[words.index("--message") + 1] for words in commands("gcloud") if "--message" in words]
    assert len(sent) == 2
    for text in sent:
        Kickoff.model_validate_json(text)
