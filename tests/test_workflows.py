"""The workflows run the project's own scripts, with pinned actions and few rights."""

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
JOBS = {
    f"{name}: {job}": (workflow, content)
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
STEPS = [step for _, job in JOBS.values() for step in job["steps"]]


def test_every_script_that_must_hold_has_a_job():
    commands = {(name, step["run"]) for name, (_, job) in JOBS.items() for step in job["steps"]
                if "run" in step}  # fmt: skip
    assert commands == {
        ("ci: run", ".ci/run"),
        ("ci: minimum", "scripts/test-minimum"),
        ("ci: package", "scripts/release"),
        ("ci: package", "scripts/smoke dist/*.whl"),
        ("audit: audit", "scripts/audit"),
        ("docs: publish", "scripts/publish-docs"),
    }
    for _, command in commands:
        assert os.access(ROOT / command.split()[0], os.X_OK), command


def test_actions_are_pinned_to_a_commit():
    used = {step["uses"] for step in STEPS if "uses" in step}
    assert used
    assert {
        name for name in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name)
    } == set()


@pytest.mark.parametrize("name", JOBS)
def test_job_has_few_rights_and_an_end(name):
    workflow, job = JOBS[name]
    rights = job.get("permissions", workflow["permissions"])
    assert rights == {"contents": "write" if name == "docs: publish" else "read"}
    assert job["timeout-minutes"] <= 60
    # The only job that pushes is the only one that keeps the token.
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            kept = step.get("with", {}).get("persist-credentials", True)
            assert kept == (name == "docs: publish")


def test_ci_runs_the_lowest_python():
    (lowest,) = re.findall(
        r'^requires-python = ">=(.*)"', (ROOT / "pyproject.toml").read_text(), re.M
    )
    jobs = WORKFLOWS["ci"]["jobs"]
    assert lowest in jobs["run"]["strategy"]["matrix"]["python"]
    assert lowest in jobs["package"]["strategy"]["matrix"]["python"]
    (version,) = (s["with"]["python-version"] for s in jobs["minimum"]["steps"]
                  if "setup-python" in s.get("uses", ""))  # fmt: skip
    assert version == lowest
    assert f"--python-version {lowest}" in (ROOT / "scripts/test-minimum").read_text()
