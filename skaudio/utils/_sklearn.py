"""The only file that imports private names of scikit-learn."""

from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

__all__ = ["check_feature_names_in"]
