"""The pipeline that Flyte was announced with: prepare, train, validate and score, measure.

scikit-learn's breast-cancer data, XGBoost, and hyperparameters as inputs. Every task is cached: a
second run starts no process, and another learning rate computes anew only what depends on it.
Data goes between the tasks as values, whose cache keys are their content.
"""

from dataclasses import dataclass
from typing import NamedTuple

from flytekit import task, workflow


@dataclass
class Table:
    features: list[list[float]]
    labels: list[int]


Split = NamedTuple("Split", train=Table, test=Table)
Metrics = NamedTuple("Metrics", accuracy=float, auc=float)


@task(cache=True, cache_version="1.0")
def prepare_data(test_size: float, seed: int) -> Split:
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    data = load_breast_cancer()
    x, xt, y, yt = train_test_split(
        data.data, data.target, test_size=test_size, random_state=seed, stratify=data.target
    )
    return Split(
        train=Table(features=x.tolist(), labels=y.tolist()),
        test=Table(features=xt.tolist(), labels=yt.tolist()),
    )


@task(cache=True, cache_version="1.0")
def train_model(
    data: Table, learning_rate: float, max_depth: int, n_estimators: int, seed: int
) -> str:
    import numpy as np
    import xgboost

    model = xgboost.XGBClassifier(
        learning_rate=learning_rate,
        max_depth=max_depth,
        n_estimators=n_estimators,
        random_state=seed,
        n_jobs=1,
    )
    model.fit(np.array(data.features), np.array(data.labels))
    return model.get_booster().save_raw("json").decode()


@task(cache=True, cache_version="1.0")
def validate_and_score(model: str, data: Table) -> list[float]:
    import numpy as np
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(model.encode()))
    scores = booster.predict(xgboost.DMatrix(np.array(data.features)))
    if len(scores) != len(data.labels):
        raise ValueError(f"{len(scores)} scores for {len(data.labels)} rows")
    return [float(s) for s in scores]


@task(cache=True, cache_version="1.0")
def measure(scores: list[float], data: Table) -> Metrics:
    from sklearn.metrics import accuracy_score, roc_auc_score

    guesses = [int(s > 0.5) for s in scores]
    return Metrics(
        accuracy=float(accuracy_score(data.labels, guesses)),
        auc=float(roc_auc_score(data.labels, scores)),
    )


@workflow
def training_workflow(
    learning_rate: float = 0.1,
    max_depth: int = 4,
    n_estimators: int = 50,
    test_size: float = 0.25,
    seed: int = 7,
) -> Metrics:
    split = prepare_data(test_size=test_size, seed=seed)
    model = train_model(
        data=split.train,
        learning_rate=learning_rate,
        max_depth=max_depth,
        n_estimators=n_estimators,
        seed=seed,
    )
    scores = validate_and_score(model=model, data=split.test)
    return measure(scores=scores, data=split.test)
