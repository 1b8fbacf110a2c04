# Tasks whose executor reads what to do from the task's template: Flyte writes it to a file, whose path
# replaces `{{.taskTemplatePath}}` in the command. SQLite3Task of flytekit is one.
import os
import sqlite3

import pandas as pd
from flytekit import kwtypes, task, workflow
from flytekit.core.interface import Interface
from flytekit.core.python_customized_container_task import PythonCustomizedContainerTask
from flytekit.core.shim_task import ShimTaskExecutor
from flytekit.extras.sqlite3.task import SQLite3Config, SQLite3Task


class Shouter(ShimTaskExecutor):
    def execute_from_model(self, tt, **inputs):
        return inputs["word"] + tt.custom["mark"] * 3


class Shout(PythonCustomizedContainerTask):
    def __init__(self, name: str, mark: str):
        self.mark = mark
        super().__init__(
            name=name,
            task_config=None,
            container_image="localhost:30000/none:1",
            executor_type=Shouter,
            interface=Interface(kwtypes(word=str), kwtypes(o0=str)),
        )

    def get_custom(self, settings):
        return {"mark": self.mark}


loud = Shout(name="loud", mark="!")
quiet = Shout(name="quiet", mark="\u2026")

largest = SQLite3Task(
    name="largest",
    query_template="SELECT name FROM cities WHERE people > {{ .inputs.least }} ORDER BY people",
    inputs=kwtypes(least=int),
    task_config=SQLite3Config(uri=os.path.abspath("cities.db")),
)


@task
def first(table: pd.DataFrame) -> str:
    return str(table["name"][0])


@workflow
def shouts(word: str) -> tuple[str, str]:
    return loud(word=word), quiet(word=word)


@workflow
def asks(least: int) -> str:
    return first(table=largest(least=least))


if __name__ == "__main__":
    with sqlite3.connect("cities.db") as db:
        db.execute("CREATE TABLE cities (name TEXT, people INTEGER)")
        db.execute("INSERT INTO cities VALUES ('Ulm', 126), ('Graz', 290), ('Wien', 1970)")
