"""An optimizer is added as the README says, and trains."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def block_after(heading: str, language: str) -> str:
    text = (CHECKOUT / "README.md").read_text("utf-8").partition(f"\n## {heading}\n")[2]
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_optimizer_of_the_readme_trains(tmp_path: Path, store: Path) -> None:
    for folder in ("conf", "runner", "softnet"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    code = block_after("An optimizer of your own", "python")
    assert len([line for line in code.splitlines() if line]) <= 10
    with (tmp_path / "softnet" / "optimizers.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{code}")
    settings = block_after("An optimizer of your own", "yaml")
    (tmp_path / "conf" / "optimizer" / "sign_sgd.yaml").write_text(settings, "utf-8")

    def runner(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runner", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    done = runner("optimizer=sign_sgd", "optimizer.learning_rate=0.01")
    assert done.returncode == 0, done.stderr
    assert re.search(r"test/accuracy\D+1\.0", done.stdout)
    refused = runner("optimizer=sign_sgd", "optimizer.learning_rate=-1")
    assert refused.returncode == 2
    assert "optimizer.learning_rate: must be a finite number above 0, got -1" in refused.stderr
