# A task finds what lies beside its module: data, folders of data, and programs with their mode.
import pathlib
import subprocess

from flytekit import task, workflow

HERE = pathlib.Path(__file__).parent
MAYBE = ["draft.csv", ".hidden", "env/lib.txt", "big.bin", "json.py"]


@task
def look() -> list[str]:
    greeting = (HERE / "greeting.txt").read_text().strip()
    rows = pathlib.Path("data/rows.csv").read_text().strip()
    told = subprocess.run([HERE / "tool.sh"], capture_output=True, text=True, check=True)
    there = [name for name in MAYBE if (HERE / name).exists()]
    return [greeting, rows, told.stdout.strip(), *there]


@workflow
def beside() -> list[str]:
    return look()
