"""How Sphinx builds the site: `sphinx-build -W --keep-going -b html docs FOLDER`."""

import os
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
import quiet_start  # noqa: E402

# Python's kernels, which run the notebooks, begin with `quiet_start`.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["IPYTHONDIR"] = quiet_start.make_ipython_folder()

project = "keras_caffe_zoo"
author = "the keras_caffe_zoo authors"
copyright = "the keras_caffe_zoo authors, Apache 2.0"
release = metadata.version(project)
version = release

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "zoo_site",
]
exclude_patterns = ["_build", "_ext"]
templates_path = []

# Links: whatever is ours must be there. Types in signatures may be another project's,
# whose pages are not fetched, or what functions return and nobody makes.
nitpicky = True
nitpick_ignore_regex = [("py:class", ".*"), ("py:exc", "[A-Z][a-z]+Error")]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False  # Keras' words about its own hooks
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autosummary_generate = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Inputs", "Reference", "Shape", "Shapes", "Call"]
napoleon_use_rtype = False

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 4

# Notebooks run on each build, in a folder of their own; DOCS_CACHE=1 keeps what they
# gave for as long as their text is the same, which is for whoever writes them.
nb_execution_mode = "cache" if os.environ.get("DOCS_CACHE") else "force"
nb_execution_in_temp = True
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "furo"
html_favicon = "_static/icon.svg"
html_title = "keras_caffe_zoo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["sortable.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b3261e"},
    "dark_css_variables": {"color-brand-primary": "#ff8a80"},
}
