"""What the tests of the data sets share."""

import pytest


@pytest.fixture
def make_files(tmp_path):
    """Function that makes empty files in the test's folder, which it returns; no reader decodes."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


@pytest.fixture
def names_of():
    """Function that names the class and the group of each clip."""

    def names(sounds):
        classes = [sounds.target_names[i] for i in sounds.target]
        return classes, [sounds.group_names[i] for i in sounds.groups]

    return names
