"""What must be found to be equal, and what must not."""

import datetime
import enum
import os
import tempfile
import unittest
from dataclasses import dataclass

import pandas as pd
from canonical import canonical, differences
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int


@dataclass
class Other:
    x: int


def file(text):
    path = os.path.join(tempfile.mkdtemp(), "f")
    with open(path, "w") as f:
        f.write(text)
    return FlyteFile(path)


def folder(**files):
    root = tempfile.mkdtemp()
    for name, text in files.items():
        with open(os.path.join(root, name), "w") as f:
            f.write(text)
    return FlyteDirectory(root)


def frame(dtype="int64", **columns):
    return pd.DataFrame(columns).astype(dtype)


UTC = datetime.timezone.utc
NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=UTC)


class Canonical(unittest.TestCase):
    def test_equal(self):
        east = datetime.timezone(datetime.timedelta(hours=2))
        pairs = [
            (float("nan"), float("nan")),
            (file("a"), file("a")),
            (folder(a="1", b="2"), folder(b="2", a="1")),
            (frame(x=[1, 2]), frame(x=[1, 2])),
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
            (NOON, NOON.astimezone(east)),
            (Point(1), Point(1)),
            ([1, [2.5, None]], [1, [2.5, None]]),
        ]
        for a, b in pairs:
            self.assertEqual(differences(canonical(a), canonical(b)), [], (a, b))

    def test_different(self):
        pairs = [
            (1, 2),
            (1, 1.0),
            (1, True),
            (0.0, -0.0),
            (1, "1"),
            (None, 0),
            ("", None),
            (2**53, 2**53 + 1),
            ("a", "A"),
            ([1, 2], [2, 1]),
            ([1], [1, 1]),
            ({"a": 1}, {"a": 2}),
            ({"a": 1}, {"a": 1, "b": 1}),
            (Color.RED, Color.BLUE),
            (Color.RED, "red"),
            (Point(1), Point(2)),
            (Point(1), Other(1)),
            (Point(1), {"x": 1}),
            (NOON, NOON + datetime.timedelta(microseconds=1)),
            (datetime.timedelta(seconds=1), datetime.timedelta(seconds=1, microseconds=1)),
            (file("a"), file("b")),
            (folder(a="1"), folder(a="2")),
            (folder(a="1"), folder(b="1")),
            (folder(a="1"), folder(a="1", b="")),
            (frame(x=[1, 2]), frame(x=[2, 1])),
            (frame(x=[1, 2]), frame(y=[1, 2])),
            (frame(x=[1, 2]), frame("float64", x=[1, 2])),
            (frame(x=[1], y=[2]), frame(y=[2], x=[1])),
            (frame(x=[1]), frame(x=[1, 1])),
        ]
        for a, b in pairs:
            self.assertNotEqual(differences(canonical(a), canonical(b)), [], (a, b))

    def test_places_are_named(self):
        want = {"o0": canonical([1, {"k": 2}]), "o1": canonical(1)}
        have = {"o0": canonical([1, {"k": 3}]), "o2": canonical(1)}
        found = differences(want, have)
        self.assertEqual(len(found), 3, found)
        self.assertTrue(found[0].startswith("outputs.o0"), found)
        self.assertIn("outputs.o1: missing", found)
        self.assertIn("outputs.o2: not wanted", found)


if __name__ == "__main__":
    unittest.main()
