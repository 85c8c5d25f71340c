"""Settings of the documentation, built by `make docs`."""

import skaudio

project = "skaudio"
author = "the skaudio developers"
copyright = f"2026, {author}"
version = release = skaudio.__version__

# No intersphinx: the documentation builds without a network.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"

autosummary_generate = True
numpydoc_show_class_members = False  # the class template lists the members
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"skaudio {version}"
html_theme_options = {"show_prev_next": False}
html_show_sourcelink = False
