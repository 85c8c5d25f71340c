"""Files of skops: what is scikit-learn's own comes back, nothing else does unasked."""

import functools
import io
import json
import operator
import os
import pickle
import zipfile

import numpy as np
import pytest
import scipy.sparse
import skops.io
from scipy import stats
from sklearn import ensemble, feature_selection, gaussian_process, neighbors, neural_network
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances

from skaudio import RandomCNNTransformer, load
from tests.saving.helpers import SAMPLES, SMALL, Payload, assert_refused, load_skops
from tests.saving.test_saving import Louder

pytestmark = pytest.mark.filterwarnings("ignore:.*and were padded:UserWarning")


def test_pipelines_come_back_through_skops(tmp_path, clips):
    pipeline = make_pipeline(clone(SAMPLES["mfcc"]), StandardScaler()).fit(clips)
    back = load_skops(tmp_path / "winner", pipeline)
    np.testing.assert_array_equal(back.transform(clips), pipeline.transform(clips))


def test_a_pickle_called_skops(tmp_path, mark):
    path = tmp_path / "winner.skops"
    path.write_bytes(pickle.dumps(Payload(mark)))
    assert_refused(path, "not a zip file")


# --- what is scikit-learn's own ------------------------------------------------------------------

STUMP = DecisionTreeClassifier(max_depth=2)
MODELS = [
    *(CalibratedClassifierCV(LinearSVC(), method=m, cv=2) for m in ("sigmoid", "isotonic")),
    CalibratedClassifierCV(SVC(), cv=2, ensemble=False),
    *(
        GridSearchCV(SVC(), {"C": [1, 2]}, scoring=scoring, refit=refit, cv=cv)
        for scoring, refit, cv in [
            (None, True, 2),
            ("balanced_accuracy", True, RepeatedStratifiedKFold(n_splits=2, n_repeats=1)),
            (["accuracy", "f1_macro"], "f1_macro", 2),
        ]
    ),
    GridSearchCV(Pipeline([("s", SVC())]), {"s": [SVC(), LogisticRegression()]}, cv=2),
    ColumnTransformer([("a", StandardScaler(), [0, 1])], remainder=MinMaxScaler()),
    make_pipeline(PCA(2), neighbors.KNeighborsClassifier()),
    *(
        neighbors.KNeighborsClassifier(algorithm=algorithm, metric=metric, p=p)
        for algorithm in ("kd_tree", "ball_tree", "brute")
        for metric, p in (("minkowski", 3), ("manhattan", 2), ("chebyshev", 2))
    ),
    *(
        gaussian_process.GaussianProcessClassifier(k)
        for k in (Matern(), RBF() + WhiteKernel(), 2 * RBF() ** 2)
    ),
    *(neural_network.MLPClassifier((5,), solver=s, max_iter=3) for s in ("sgd", "lbfgs", "adam")),
    *(SGDClassifier(loss=loss) for loss in ("hinge", "log_loss", "modified_huber")),
    *(ensemble.HistGradientBoostingClassifier(max_iter=3, early_stopping=b) for b in (False, True)),
    ensemble.GradientBoostingClassifier(n_estimators=3, init="zero"),
    ensemble.GradientBoostingClassifier(n_estimators=3, init=STUMP),
    ensemble.RandomForestClassifier(5, oob_score=True),
    *(ensemble.IsolationForest(n_estimators=3, max_features=n) for n in (1.0, 2)),
    *(ensemble.BaggingClassifier(STUMP, n_estimators=3, max_features=n) for n in (1.0, 2)),
    ensemble.StackingClassifier([("t", STUMP), ("s", SVC())], cv=2),
    ensemble.VotingClassifier([("t", STUMP), ("s", SVC())]),
    OneVsRestClassifier(STUMP),
    *(
        feature_selection.SelectKBest(score, k=2)
        for score in (feature_selection.f_classif, feature_selection.mutual_info_classif)
    ),
    feature_selection.SelectFromModel(STUMP),
    *(SVC(kernel=kernel) for kernel in ("linear", "precomputed")),
    NuSVC(nu=0.1),
]


@pytest.fixture
def table(rng):
    """Features of 60 samples and three classes, (60, 5) and (60,)."""
    return rng.random((60, 5)), np.repeat(["a", "b", "c"], 20)


@pytest.mark.filterwarnings("ignore")  # three steps of a training, for instance
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_models_of_scikit_learn_come_back_untold(tmp_path, table, model):
    X, y = table
    X = X @ X.T if getattr(model, "kernel", None) == "precomputed" else X
    model = clone(model).fit(X, y)
    back = load_skops(tmp_path / "winner", model)
    method = "predict" if hasattr(model, "predict") else "transform"
    np.testing.assert_array_equal(getattr(back, method)(X), getattr(model, method)(X))


# skops cannot write the first one; the others hold functions that do more than work out a number
NOT_UNTOLD = {"Birch", "BisectingKMeans", "SplineTransformer"}
TABLES = ["classes", "numbers", "indicators", "one column", "two blocks", "texts", "dicts"]


def given(kind, rng):
    X = rng.random((30, 4))
    return {
        "classes": (X, np.repeat([0, 1, 2], 10)),
        "numbers": (X, X[:, 0]),
        "indicators": (X, np.repeat([0, 1], 15)),
        "one column": (X[:, 0], X[:, 1]),
        "two blocks": (X, X[:, :2]),
        "texts": (["a b c", "d e f"] * 15, np.repeat([0, 1], 15)),
        "dicts": ([{"a": 1}] * 30, None),
    }[kind]


def fitted(estimator, rng):
    """The estimator, fitted to the first kind of data that it takes; None where it takes none."""
    for kind in TABLES:
        try:
            return clone(estimator).fit(*given(kind, rng))
        except (AttributeError, IndexError, TypeError, ValueError):
            continue
    return None


@pytest.mark.filterwarnings("ignore")
def test_all_estimators_of_scikit_learn_come_back_untold(tmp_path, rng):
    refused, n_loaded = set(), 0
    for name, kind in all_estimators():
        if name == "Birch" or getattr(kind, "__abstractmethods__", ()):
            continue
        for estimator in _construct_instances(kind) if name != "FrozenEstimator" else ():
            model = fitted(estimator, rng)
            if model is not None:
                n_loaded += 1
                try:
                    assert type(load_skops(tmp_path / name, model)) is kind
                except ValueError:
                    refused.add(name)
    assert refused == NOT_UNTOLD - {"Birch"}
    assert n_loaded > 180


# --- what is not ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda foreign: foreign, lambda foreign: {"a": [foreign]}])
def test_foreign_classes(tmp_path, mark, wrap):
    path = tmp_path / "winner.skops"
    skops.io.dump(wrap(Payload(mark)), path)
    name = f"{Payload.__module__}.Payload"
    with pytest.raises(ValueError, match=rf"needs {name}, .* pass trusted=\['{name}'\]$"):
        load(path)


@pytest.mark.parametrize("by_name", [False, True])
def test_classes_of_others_come_back_to_those_who_trust_them(tmp_path, clips, by_name):
    pipeline = make_pipeline(Louder(gain=3.0), StandardScaler()).fit(clips)
    with pytest.raises(ValueError, match=r"needs .*\.Louder, which skaudio does not trust"):
        load_skops(tmp_path / "winner", pipeline)
    trusted = [f"{Louder.__module__}.Louder" if by_name else Louder]
    back = load(tmp_path / "winner.skops", trusted=trusted)
    np.testing.assert_array_equal(back.transform(clips), pipeline.transform(clips))


def renamed(path, old, new):
    """Rewrite the schema of a file, as only a stranger would."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].decode()
    assert old in schema
    members["schema.json"] = schema.replace(old, new).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "subprocess.call", "builtins.eval", "numpy.load",
        "numpy.fromfile", "numpy.memmap", "joblib.load", "pickle.loads", "shutil.rmtree",
        "sklearn.datasets._base.load_files", "sklearn.datasets._base._pkl_filepath",
        "sklearn.utils._testing.TempMemmap", "scipy.io.loadmat", "skaudio.saving.load",
        "sklearn.tree._tree.__builtins__", "importlib.import_module",
    ],
)  # fmt: skip
@pytest.mark.parametrize("loader", ["FunctionNode", "TypeNode", "ConstructorFromReduceNode"])
def test_no_function_comes_back(tmp_path, name, loader):
    path = tmp_path / "winner.skops"
    skops.io.dump(FunctionTransformer(np.log1p), path)
    with zipfile.ZipFile(path) as archive:
        content = json.loads(archive.read("schema.json"))["content"]["content"]
    function = json.dumps(content["func"], indent=2)
    module, _, last = name.rpartition(".")
    other = {**content["func"], "__class__": last, "__module__": module, "__loader__": loader}
    other["content"] = {
        "__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []
    }  # fmt: skip
    other["__id__"] = 1
    indent = "\n" + " " * 6
    renamed(path, function.replace("\n", indent), json.dumps(other))
    with pytest.raises(ValueError, match=f"needs {name}, which skaudio does not trust"):
        load(path)


@pytest.mark.parametrize(
    "call",
    [
        functools.partial(os.system, "true"),
        operator.methodcaller("fit"),
        operator.attrgetter("a"),
        StandardScaler().fit,
        stats.loguniform(1, 2),
        len,
    ],
    ids=lambda call: type(call).__name__,
)
def test_nothing_that_calls_comes_back(tmp_path, call):
    path = tmp_path / "winner.skops"
    try:
        skops.io.dump(FunctionTransformer(call), path)
    except Exception as error:  # then no such file can be made in this way
        pytest.fail(f"the test needs another way to write {call!r}: {error}")
    with pytest.raises(ValueError, match=r"which skaudio does not trust; "):
        load(path)


def test_foreign_functions_within_an_extractor(tmp_path, mark, clips):
    path = tmp_path / "winner.skops"
    mfcc = clone(SAMPLES["mfcc"]).fit(clips)
    mfcc.odd_ = functools.partial(os.system, f"touch {mark}")
    skops.io.dump(mfcc, path)
    with pytest.raises(ValueError, match=r"needs functools\.partial, .*\.system, which"):
        load(path)


# --- what belongs to another machine -------------------------------------------------------------


def test_nothing_of_the_other_machine_is_taken_over(tmp_path, clips):
    cnn = RandomCNNTransformer(**SMALL, n_filters=2, random_state=0, memory=str(tmp_path / "a"))
    pipeline = Pipeline([("cnn", cnn), ("scale", StandardScaler())]).fit(clips)
    pipeline.set_params(cnn__device="cuda:7", memory=str(tmp_path / "b"))
    search = GridSearchCV(pipeline, {"cnn__n_filters": [2]})
    search.best_estimator_ = pipeline
    for name in ("a", "b"):
        (tmp_path / name).mkdir(exist_ok=True)
    before = {*tmp_path.rglob("*")}
    back = load_skops(tmp_path / "winner", search)
    for pipe in (back.estimator, back.best_estimator_):
        assert pipe.memory is None
        assert (pipe["cnn"].memory, pipe["cnn"].device) == (None, "auto")
    back.best_estimator_.transform(clips)
    assert {*tmp_path.rglob("*")} == before | {tmp_path / "winner.skops"}


@pytest.mark.parametrize("name", ["checkpoint", "callbacks", "device", "memory"])
def test_training_goes_nowhere_else(tmp_path, name):
    from skaudio import Wav2VecTransformer

    wav2vec = Wav2VecTransformer(**{name: str(tmp_path / "elsewhere")})
    back = load_skops(tmp_path / "winner", wav2vec)
    assert getattr(back, name) == getattr(Wav2VecTransformer(), name)


# --- damaged models ------------------------------------------------------------------------------


def with_nodes(tree, change):
    """A tree with other nodes, which scikit-learn takes as they are."""
    state = tree.__getstate__()
    change(state["nodes"])
    other = Tree(*tree.__reduce__()[1])
    other.__setstate__(state)
    return other


def damage_tree(change):
    def damage(forest):
        tree = forest.estimators_[1]
        tree = tree[0] if isinstance(tree, np.ndarray) else tree
        tree.tree_ = with_nodes(tree.tree_, change)

    return damage


def first_inner(**values):
    def change(nodes):
        for name, value in values.items():
            nodes[name][0] = value

    return change


def damage_neighbours(place, value):
    def damage(model):
        state = [*model._tree.__getstate__()]
        state[place] = value(state[place])
        model._tree.__setstate__(tuple(state))

    return damage


def damage_predictor(**values):
    def damage(model):
        first_inner(**values)(model._predictors[0][0].nodes)

    return damage


def put(name, value):
    return lambda model: setattr(model, name, value(getattr(model, name)))


FOREST = ensemble.RandomForestClassifier(3, random_state=0)
BOOSTING = ensemble.GradientBoostingClassifier(n_estimators=3)
HISTOGRAMS = ensemble.HistGradientBoostingClassifier(max_iter=2)
NEIGHBOURS = neighbors.KNeighborsClassifier(algorithm="kd_tree", leaf_size=5)


@pytest.mark.parametrize(
    ("model", "damage"),
    [
        (FOREST, damage_tree(first_inner(left_child=1 << 40))),
        (FOREST, damage_tree(first_inner(right_child=-5))),
        (FOREST, damage_tree(first_inner(left_child=0))),  # would run for ever
        (FOREST, damage_tree(first_inner(feature=1 << 40))),
        (FOREST, damage_tree(first_inner(feature=-3))),
        (FOREST, put("n_features_in_", lambda n: 2)),
        (FOREST, lambda forest: delattr(forest, "n_features_in_")),
        (STUMP, put("n_features_in_", lambda n: 2)),
        (STUMP, put("tree_", lambda tree: StandardScaler())),
        (BOOSTING, damage_tree(first_inner(feature=1 << 40))),
        (BOOSTING, put("n_features_in_", lambda n: 2)),
        (BOOSTING, put("estimators_", lambda trees: trees[:, [0, 1, 2, 0, 1, 2]])),
        (HISTOGRAMS, damage_predictor(left=1 << 20)),
        (HISTOGRAMS, damage_predictor(right=0)),
        (HISTOGRAMS, damage_predictor(feature_idx=1 << 20)),
        (HISTOGRAMS, damage_predictor(is_categorical=1)),
        (HISTOGRAMS, put("n_features_in_", lambda n: 1)),
        (NEIGHBOURS, damage_neighbours(1, lambda index: index + 1)),
        (NEIGHBOURS, damage_neighbours(2, lambda nodes: nodes[:1])),
        (NEIGHBOURS, damage_neighbours(3, lambda bounds: bounds[:, :, :1].copy())),
        (NEIGHBOURS, damage_neighbours(6, lambda n_nodes: 10 * n_nodes)),
        (SVC(), put("_dual_coef_", lambda coef: coef[:, :2])),
        (SVC(), put("_dual_coef_", lambda coef: coef[:1])),
        (SVC(), put("_n_support", lambda n: n + 1000)),
        (SVC(), put("_intercept_", lambda b: b[:1])),
        (SVC(), put("support_vectors_", lambda v: v[:, :1])),
    ],
)
def test_damaged_models_are_refused(tmp_path, table, model, damage):
    model = clone(model).fit(*table)
    load_skops(tmp_path / "winner", model)
    damage(model)
    with pytest.raises(ValueError, match=r"cannot be loaded: the content of a \w+ is damaged; "):
        load_skops(tmp_path / "winner", model)


def test_damaged_matrices_are_refused(tmp_path):
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    assert (load_skops(tmp_path / "matrix", matrix) != matrix).nnz == 0
    matrix.indices[1] = 1 << 30
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_skops(tmp_path / "matrix", matrix)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda cnn: cnn.weights_.popitem(), r"weights_ does not fit the parameters"),
        (lambda cnn: cnn.weights_.update({"blocks.1.bias": np.ones(5)}), r"blocks\.1\.bias"),
        (lambda cnn: cnn.weights_["blocks.1.bias"].fill(np.nan), "holds NaN or infinity"),
        (lambda cnn: cnn.set_params(n_filters=10**9), "more than its arrays have room for"),
        (lambda cnn: setattr(cnn, "transform", 3), "has no transform"),
        (lambda cnn: setattr(cnn, "n_features_out_", 3), "n_features_out_ must be"),
    ],
)
def test_extractors_are_checked_as_those_of_folders(tmp_path, cnn, change, reason):
    change(cnn)
    skops.io.dump(make_pipeline(cnn, StandardScaler()), tmp_path / "winner.skops")
    assert_refused(tmp_path / "winner.skops", reason)


# --- archives out of proportion ------------------------------------------------------------------


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)


def test_a_compressed_file_comes_back(tmp_path, table):
    model = clone(FOREST).fit(*table)
    skops.io.dump(model, tmp_path / "winner.skops", compression=zipfile.ZIP_DEFLATED)
    back = load(tmp_path / "winner.skops")
    np.testing.assert_array_equal(back.predict(table[0]), model.predict(table[0]))


def test_bombs_are_not_inflated(tmp_path, table):
    path, zeros = tmp_path / "bomb.skops", bytes(1 << 26)
    skops.io.dump(StandardScaler().fit(table[0]), path)
    with zipfile.ZipFile(path) as file:
        schema = file.read("schema.json")
    archive(path, {"schema.json": schema, "a.npy": zeros, "b.npy": zeros})
    assert_refused(path, "it would grow to .* bytes, at most 67108864 are read")
    inner = io.BytesIO()
    archive(inner, {"a.npy": zeros, "b.npy": zeros})
    archive(path, {"schema.json": schema, "a.npz": inner.getvalue()}, zipfile.ZIP_STORED)
    assert_refused(path, "it would grow to 134217728 bytes")


def test_a_member_that_understates_its_size_is_not_inflated(tmp_path):
    path = tmp_path / "bomb.skops"
    archive(path, {"schema.json": bytes(1 << 24)})
    content = path.read_bytes().replace((1 << 24).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    path.write_bytes(content)
    assert_refused(path, "Bad CRC-32")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, method):
    path = tmp_path / "winner.skops"
    skops.io.dump(StandardScaler(), path, compression=method)
    assert_refused(path, "it is compressed in another way than with deflate")


def test_repetitions_without_end(tmp_path):
    path = tmp_path / "laughs.skops"
    value = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "__id__": 1}
    value["content"] = "3"
    for depth in range(2, 30):
        again = [{"__id__": depth - 1}] * 9  # each of them stands for ten times as much
        kind = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
        value = {**kind, "__id__": depth, "content": [value, *again]}
    archive(path, {"schema.json": json.dumps({**value, "protocol": 0})})
    assert_refused(path, "its objects repeat each other without end")


def test_deep_nesting(tmp_path):
    path = tmp_path / "winner.skops"
    node = '{"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": ['
    for depth in (400, 100_000):
        end = '], "protocol": 0}' if depth else ""
        archive(path, {"schema.json": (node * depth) + "]}" * (depth - 1) + end})
        assert_refused(path, "it is nested too deeply")


def test_a_broken_skops_file(tmp_path, clips):
    path = tmp_path / "winner.skops"
    skops.io.dump(clone(SAMPLES["mfcc"]).fit(clips), path)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 50)):
        path.write_bytes(whole[:size])
        assert_refused(path, "zip")
