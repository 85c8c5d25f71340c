"""`import skaudio` is quick and brings nothing heavy."""

import subprocess
import sys
import time


def test_import_brings_nothing_heavy():
    code = "import sys, skaudio; print({'torch', 'librosa', 'sklearn', 'numpy'} & {*sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"


def test_import_is_quick():
    def seconds(code):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin

    # the best of several, against a bare interpreter: other work on the machine only adds
    bare = min(seconds("pass") for _ in range(5))
    assert min(seconds("import skaudio") for _ in range(5)) - bare < 0.1


def test_every_public_name_is_there():
    import skaudio

    assert {"MFCCTransformer", "load", "audio", "__version__"} < {*skaudio.__all__}
    for name in skaudio.__all__:
        assert getattr(skaudio, name) is not None
