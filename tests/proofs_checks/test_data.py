"""Reading of labelled CSV data: what is read, and every refusal with its remedy."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.data import Dataset, load_csv, shipped
from theory.errors import LemmataError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path: Path):
    def writer(content: str | bytes, name: str = "points.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


GOOD = "a,b,kind\n1,2,cat\n3,-4,dog\n0.5,1e-3,cat\n"


def test_reads_values_labels_and_names(write) -> None:
    data = load_csv(write(GOOD), label="kind")
    assert data.name == "points"
    assert data.features == ("a", "b")
    assert data.classes == ("cat", "dog")
    assert data.X.tolist() == [[1.0, 2.0], [3.0, -4.0], [0.5, 1e-3]]
    assert data.y.tolist() == [-1.0, 1.0, -1.0]
    assert data.transforms == () and data.exact is None
    assert len(data.sha256) == 64


def test_arrays_are_read_only(write) -> None:
    data = load_csv(write(GOOD), label="kind")
    with pytest.raises(ValueError, match="read-only"):
        data.X[0, 0] = 7.0


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD + "\n\n",
        GOOD.replace(",", " , "),
        'a,"b","kind"\n"1",2,"cat"\n3,-4,dog\n0.5,1e-3,cat',
        "kind,a,b\ncat,1,2\ndog,3,-4\ncat,0x1p-1,1e-3\n",
    ],
    ids=["bom", "crlf", "cr", "blank", "spaces", "quoted", "label-first-and-hexadecimal"],
)
def test_harmless_variants_read_the_same(write, content: str) -> None:
    data = load_csv(write(content), label="kind")
    assert data.X.tolist() == [[1.0, 2.0], [3.0, -4.0], [0.5, 1e-3]]
    assert data.y.tolist() == [-1.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        (["1", "-1", "1"], ("-1", "1"), [1, -1, 1]),
        (["+1", "-1.0", "1"], ("-1.0", "+1"), [1, -1, 1]),
        (["10", "9", "9"], ("9", "10"), [1, -1, -1]),
        (["a10", "a9", "a9"], ("a10", "a9"), [-1, 1, 1]),
        (["0", "0.0", "1"], ("0", "1"), [-1, -1, 1]),
        (["2", "x", "x"], ("2", "x"), [-1, 1, 1]),
    ],
)
def test_classes_are_mapped_in_order(write, labels, classes, y) -> None:
    body = "".join(f"{i * i},{label}\n" for i, label in enumerate(labels))
    data = load_csv(write("a,c\n" + body), label="c")
    assert data.classes == classes
    assert data.y.tolist() == y


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty", "header"]),
        ("\n \n", ["empty"]),
        ("a,kind\n", ["no rows", "add"]),
        ("a,a,kind\n1,2,x\n3,4,y\n", ["repeated", "'a'", "rename"]),
        (",a,kind\n1,2,x\n3,4,y\n", ["column 1 has no name", "drop"]),
        ("a;b;kind\n1;2;x\n", ["semicolons", "commas"]),
        ("1,2,0\n3,4,1\n", ["no header", "column names"]),
        ("a,b,kind\n1,2,x\n3,y\n", ["line 3", "2 cells", "header has 3"]),
        ("a,b,kind\n1,2,x\n3,4,y,5\n", ["line 3", "4 cells"]),
        ("a,b,kind\n1,2,x\n3,oops,y\n", ["line 3", "column 'b'", "'oops' is not a number"]),
        ("a,b,kind\n1,2,x\n3,1_000,y\n", ["column 'b'", "not a number"]),
        ("a,b,kind\n1,2,x\n3,\u0663,y\n", ["column 'b'", "not a number"]),
        ("a,b,kind\n1,2,x\n3,,y\n", ["line 3", "column 'b'", "missing", "drop"]),
        ("a,b,kind\n1,NaN,x\n3,2,y\n", ["line 2", "column 'b'", "missing"]),
        ("a,b,kind\n1,-inf,x\n3,2,y\n", ["line 2", "column 'b'", "not finite"]),
        ("a,b,kind\n1,1e400,x\n3,2,y\n", ["line 2", "too large", "rescale"]),
        ("a,b,kind\n1,-1e-400,x\n3,2,y\n", ["line 2", "too small", "rescale"]),
        ("a,b,kind\n1,0x1p-5000,x\n3,2,y\n", ["too small"]),
        ("a,b,kind\n1,0x1p5000,x\n3,2,y\n", ["too large"]),
        ("a,b,kind\n5,2,x\n5.0,3,y\n", ["1 feature is constant", "'a'", "drop"]),
        ("a,b,kind\n5,2,x\n5,2,y\n", ["2 features are constant", "'a', 'b'"]),
        ("a,kind\n1,x\n2,x\n", ["one class, 'x'", "second class"]),
        ("a,kind\n1,x\n2,y\n3,z\n", ["3 classes", "'x', 'y', 'z'", "keep"]),
        ("a,kind\n1,x\n2,\n", ["line 3", "column 'kind'", "label is missing"]),
        ("a,kind\n1,x\n2,nan\n", ["label is missing"]),
        ("kind\nx\ny\n", ["no feature columns"]),
        ('a,kind\n"1,x\n2,y\n', ["not CSV", "quoting"]),
        ('a,kind\n"1\n2",x\n2,y\n', ["line 3", "'1 2' is not a number"]),
        (b"a,kind\n\xff\xfe,x\n", ["UTF-8"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0", ["not CSV", "NUL"]),
        ("a,kind\n1,x\n2,y\n".encode("utf-16"), ["UTF-8"]),
    ],
)
def test_bad_files_are_refused_in_one_line_with_the_remedy(write, content, words) -> None:
    path = write(content)
    with pytest.raises(LemmataError) as caught:
        load_csv(path, label="kind")
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    for word in words:
        assert word in message


def test_missing_file_suggests_a_neighbour(write, tmp_path: Path) -> None:
    write(GOOD, "digits.csv")
    with pytest.raises(LemmataError, match=r"file not found: .*did you mean '.*digits\.csv'"):
        load_csv(tmp_path / "digit.csv", label="kind")
    with pytest.raises(LemmataError, match=r"file not found: .*check the path"):
        load_csv(tmp_path / "no" / "where.csv", label="kind")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LemmataError, match="is a folder"):
        load_csv(tmp_path, label="kind")


def test_impossible_path_is_refused() -> None:
    with pytest.raises(LemmataError, match="cannot read"):
        load_csv("nul\0byte.csv", label="kind")


@pytest.mark.parametrize(("asked", "hint"), [("knd", "'kind'"), ("KIND", "'kind'"), ("zzz", "'b'")])
def test_unknown_label_suggests(write, asked: str, hint: str) -> None:
    with pytest.raises(LemmataError, match=f"no label column '{asked}'.*{hint}"):
        load_csv(write(GOOD), label=asked)


def test_many_classes_are_listed_in_part(write) -> None:
    body = "".join(f"{i},{i}.5\n" for i in range(40))
    with pytest.raises(LemmataError, match=r"40 classes, '0\.5', .* and 34 more"):
        load_csv(write("a,t\n" + body), label="t")


def test_centre_then_normalise(write) -> None:
    data = load_csv(write(GOOD), label="kind", center=True, normalise=True)
    raw = np.array([[1.0, 2.0], [3.0, -4.0], [0.5, 1e-3]])
    expected = raw - raw.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(data.X, expected, rtol=1e-14, atol=0)
    assert data.transforms == ("center", "normalise")


def test_normalise_survives_extreme_scales(write) -> None:
    data = load_csv(write("a,b,k\n3e300,4e300,x\n3e-300,4e-300,y\n"), label="k", normalise=True)
    assert np.allclose(data.X, [[0.6, 0.8], [0.6, 0.8]], rtol=1e-14)


def test_zero_rows_are_allowed_unless_normalised(write) -> None:
    path = write("a,b,k\n0,0,x\n1,2,y\n-1,-2,y\n")
    assert load_csv(path, label="k", center=True).X[0].tolist() == [0.0, 0.0]
    with pytest.raises(LemmataError, match=r"zero points .*lines 2\)"):
        load_csv(path, label="k", normalise=True)


def test_overflow_in_a_transform_is_refused(write) -> None:
    path = write("a,k\n1.7e308,x\n-1.7e308,y\n1.7e308,y\n1.7e308,x\n")
    with pytest.raises(LemmataError, match="overflow"):
        load_csv(path, label="k", center=True)


def test_exact_decimals_are_rationals(write) -> None:
    path = write("a,k\n0.1,x\n0.25,y\n0x1.8p0,y\n0e999999,x\n")
    data = load_csv(path, label="k", exact_decimals=True)
    assert data.exact == tuple((Fraction(v),) for v in ("1/10", "1/4", "3/2", "0"))
    assert data.X.tolist() == [[0.1], [0.25], [1.5], [0.0]]
    centred = load_csv(path, label="k", exact_decimals=True, center=True)
    assert centred.exact is not None
    assert sum(row[0] for row in centred.exact) == 0
    with pytest.raises(LemmataError, match="exact rationals"):
        load_csv(path, label="k", exact_decimals=True, normalise=True)


def test_decimals_that_differ_only_exactly(write) -> None:
    path = write("a,k\n0.1,x\n0.10000000000000000001,y\n")
    with pytest.raises(LemmataError, match="constant"):
        load_csv(path, label="k")
    assert load_csv(path, label="k", exact_decimals=True).n == 2


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=12, unique=True)
)
def test_round_trip_of_every_double(tmp_path_factory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("round") / "trip.csv"
    for spell in (repr, float.hex):
        body = "".join(f"{spell(v)},{i % 2}\n" for i, v in enumerate(values))
        path.write_text("a,k\n" + body)
        assert load_csv(path, label="k").X[:, 0].tolist() == values


@given(st.binary(max_size=120))
def test_random_bytes_never_crash(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "noise.csv"
    for raw in (content, b"a,k\n" + content):
        path.write_bytes(raw)
        try:
            data = load_csv(path, label="k")
        except LemmataError as error:
            assert "\n" not in str(error)
        else:
            assert np.isfinite(data.X).all()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [np.nan]], [1, -1], r"X\[1, 0\] is nan"),
        ([[1.0], [2.0]], [1, 0], "labels must be"),
        ([[1.0], [2.0]], [1, 1], "only one class"),
        ([1.0, 2.0], [1, -1], "shape"),
        (np.empty((0, 3)), [], "shape"),
        ([[1.0], [2.0]], [1, -1, 1], "one label per point"),
        ([["a"], ["b"]], [1, -1], "real numbers"),
    ],
)
def test_dataset_of_arrays_is_checked(X, y, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        Dataset(name="mine", X=X, y=y)


def test_shipped_data() -> None:
    data = shipped()
    assert (data.n, data.d) == (24, 46)
    assert data.classes == ("0", "1")
    assert data.y.sum() == 0
    assert set(np.unique(data.X)) <= set(range(17))
    assert np.allclose(np.linalg.norm(shipped(normalise=True).X, axis=1), 1.0)


def test_shipped_file_is_what_its_script_writes(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn comes with the extra 'bench'")
    script = ROOT / "benchmarks" / "make_digits.py"
    spec = importlib.util.spec_from_file_location("make_digits", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(tmp_path / "made.csv")])
    kept = ROOT / "proofs_checks" / "datasets" / "digits_0_1.csv"
    assert (tmp_path / "made.csv").read_bytes() == kept.read_bytes()
