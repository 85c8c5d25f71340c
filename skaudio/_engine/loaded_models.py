"""What of scikit-learn may come out of a file of a stranger, and whether it is sound.

Names are trusted one by one. Whole packages must not be: functions such as ``os.system`` are the
least of it, scipy's distributions for instance run text of their state as code.
"""

from numbers import Integral

import numpy as np
import scipy.sparse

__all__ = ["check_model", "trusted_names"]

# A file may call what is listed here with arguments of its choice, and set all attributes. So
# these are classes that only hold data, in __init__ as well as in __setstate__. The estimators
# themselves are trusted by skops already.
_CLASSES = {
    "numpy": "dtype",
    "scipy.sparse._csc": "csc_array csc_matrix",
    "scipy.sparse._csr": "csr_array csr_matrix",
    "sklearn._loss.loss": "HalfTweedieLoss HalfTweedieLossIdentity",
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "sklearn.compose._column_transformer": "make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern "
        "PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
    ),
    "sklearn.metrics._dist_metrics": (
        "ChebyshevDistance32 ChebyshevDistance64 EuclideanDistance32 EuclideanDistance64 "
        "ManhattanDistance32 ManhattanDistance64 MinkowskiDistance32 MinkowskiDistance64"
    ),
    "sklearn.metrics._scorer": "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer",
    "sklearn.model_selection._search_successive_halving": (
        "HalvingGridSearchCV HalvingRandomSearchCV"
    ),
    "sklearn.model_selection._split": (
        "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut "
        "LeavePOut PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit "
        "StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"
    ),
    "sklearn.multiclass": "_ConstantPredictor",
    "sklearn.neighbors._ball_tree": "BallTree",
    "sklearn.neighbors._kd_tree": "KDTree",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.tree._tree": "Tree",
    "sklearn.utils._bunch": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
}
# The functions that estimators hold as they are usually set up. They only work out numbers. Those
# behind the scorers that scikit-learn knows by name, "accuracy" for instance, are no other.
_FUNCTIONS = {
    "numpy": "mean",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_regression r_regression",
}


def trusted_names():
    """Names of what skops refuses although it is scikit-learn's own and does no harm.

    Returns
    -------
    names : set of str
        Full names.
    """
    from sklearn.metrics import get_scorer, get_scorer_names

    scores = [get_scorer(name)._score_func for name in get_scorer_names()]
    return {
        *(
            f"{module}.{name}"
            for table in (_CLASSES, _FUNCTIONS)
            for module, names in table.items()
            for name in names.split()
        ),
        *(f"{score.__module__}.{score.__name__}" for score in scores),
    }


def check_model(item):
    """Raise ValueError if compiled code of scikit-learn or scipy would leave an array's bounds.

    Trees and the like are followed by compiled code that believes the indices in them. A file
    with others would make it read, or write, anywhere in memory.

    Parameters
    ----------
    item : object
        Anything that was loaded; only what is trusted for this check is looked at.
    """
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import (
        BaseHistGradientBoosting,
    )
    from sklearn.ensemble._iforest import IsolationForest
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    checks = {
        Tree: _tree_is_sound,
        BaseDecisionTree: _decision_tree_is_sound,
        (BaseForest, IsolationForest): _forest_is_sound,
        BaseGradientBoosting: _boosting_is_sound,
        BaseHistGradientBoosting: _histogram_boosting_is_sound,
        (KDTree, BallTree): _neighbours_are_sound,
        BaseLibSVM: _svm_is_sound,
        (scipy.sparse.spmatrix, scipy.sparse.sparray): _sparse_is_sound,
    }
    for kinds, is_sound in checks.items():
        if isinstance(item, kinds):
            try:
                sound = is_sound(item)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                sound = False  # something is missing, or of another type
            if not sound:
                raise ValueError(f"the content of a {type(item).__name__} is damaged")


def _tree_is_sound(tree):
    if not 0 < tree.node_count <= tree.capacity:
        return False
    left, right, n = tree.children_left, tree.children_right, tree.node_count
    own, inner = np.arange(n), left != -1
    children = np.concatenate([left[inner], right[inner]])
    parents, features = np.tile(own[inner], 2), tree.feature[inner]
    return bool(
        ((children > parents) & (children < n)).all()
        and ((features >= 0) & (features < tree.n_features)).all()
    )


def _n_inputs(estimator):
    n = estimator.n_features_in_
    if not isinstance(n, Integral) or n < 1:
        raise ValueError("n_features_in_ is no number of columns")
    return int(n)


def _decision_tree_is_sound(estimator):
    from sklearn.tree._tree import Tree

    if not hasattr(estimator, "tree_"):  # not fitted
        return "n_features_in_" not in vars(estimator)
    return isinstance(estimator.tree_, Tree) and estimator.tree_.n_features == _n_inputs(estimator)


def _forest_is_sound(forest):
    if not hasattr(forest, "estimators_"):
        return True
    n = _n_inputs(forest)
    widths = [n] * len(forest.estimators_)
    if hasattr(forest, "_max_features") and forest._max_features != n:  # of an IsolationForest
        widths = [len(features) for features in forest.estimators_features_]
    found = [tree.tree_.n_features for tree in forest.estimators_]
    return found == widths


def _boosting_is_sound(boosting):
    from sklearn.tree._tree import Tree

    if not hasattr(boosting, "estimators_"):
        return True
    n, trees = _n_inputs(boosting), boosting.estimators_
    return (
        trees.ndim == 2
        and all(type(tree.tree_) is Tree for tree in trees.flat)
        and all(tree.tree_.n_features == n == _n_inputs(tree) for tree in trees.flat)
        and boosting._raw_predict_init(np.zeros((1, n), np.float32)).shape == (1, trees.shape[1])
    )


def _histogram_boosting_is_sound(boosting):
    if not hasattr(boosting, "_predictors"):
        return True
    if getattr(boosting, "_preprocessor", None) is not None:
        return False  # categories, which nothing here can check
    n = _n_inputs(boosting)
    return all(_predictor_is_sound(tree, n) for round_ in boosting._predictors for tree in round_)


def _predictor_is_sound(predictor, n_inputs):
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    own, n = np.flatnonzero(inner), len(nodes)
    return bool(
        n
        and not nodes["is_categorical"].any()
        and (nodes["feature_idx"][inner] < n_inputs).all()
        and (nodes["feature_idx"][inner] >= 0).all()
        and all((nodes[s][inner] > own).all() and (nodes[s] < n).all() for s in ("left", "right"))
    )


def _neighbours_are_sound(tree):
    data, index, nodes, bounds, _, n_levels, n_nodes, *_, metric, weights = tree.__getstate__()
    n, width = data.shape
    own = np.arange(n_nodes)
    inner = nodes["is_leaf"] == 0
    n_bounds = 2 if type(tree).__name__ == "KDTree" else 1
    weighted = "Minkowski" in type(metric).__name__ and len(metric.__getstate__()[1])
    return bool(
        n_nodes == len(nodes) == 2**n_levels - 1 >= 1
        and bounds.shape == (n_bounds, n_nodes, width)
        and len(index) == n
        and ((index >= 0) & (index < n)).all()
        and (nodes["idx_start"] >= 0).all()
        and (nodes["idx_start"] <= nodes["idx_end"]).all()
        and (nodes["idx_end"] <= n).all()
        and (2 * own[inner] + 2 < n_nodes).all()
        and (weights is None or len(weights) == n)
        and (not weighted or weighted == width)
    )


def _svm_is_sound(svm):
    if not hasattr(svm, "_dual_coef_"):
        return True
    classifies = svm._impl in ("c_svc", "nu_svc")
    counts = svm._n_support if classifies else svm._n_support[:1]
    n_classes, n_vectors = len(counts) if classifies else 2, len(svm.support_)
    n_pairs = n_classes * (n_classes - 1) // 2
    if svm.kernel == "precomputed":
        n, placed = svm.shape_fit_[0], svm.support_
        fits = bool(((placed >= 0) & (placed < n)).all())
    else:
        fits = svm.support_vectors_.shape == (n_vectors, _n_inputs(svm))
    return (
        fits
        and svm._impl == type(svm)._impl
        and n_classes >= 2
        and svm._dual_coef_.shape == (n_classes - 1, n_vectors)
        and svm._intercept_.shape == (n_pairs,)
        and bool((counts >= 0).all() and counts.sum() == n_vectors)
        and all(len(array) in (0, n_pairs) for array in (svm._probA, svm._probB))
    )


def _sparse_is_sound(matrix):
    matrix.check_format(full_check=True)
    return True
