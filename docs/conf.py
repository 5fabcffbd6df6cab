"""Sphinx settings of the site; `tools/docs_build.py` gathers its sources and calls Sphinx."""

import json
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "facts.json").read_text(encoding="utf-8"))  # by tools/docs_build.py
PROJECT = tomllib.loads((Path(FACTS["root"]) / "pyproject.toml").read_text(encoding="utf-8"))
REPOSITORY = PROJECT["project"]["urls"]["Repository"]

project = "ser"
author = "The ser authors"
project_copyright = f"{author}, MIT licence"
release = version = PROJECT["project"]["version"]
language = "en"

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_parts"]

# pages: numbers in prose are substitutions, made from reports/
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "substitution"]
myst_substitutions = FACTS["numbers"]
myst_heading_anchors = 3

# notebooks are shown as committed; tests hold their outputs to the code
nb_execution_mode = "off"
nb_merge_streams = True

# the API: what notebooks use
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"GL08", "PR02", "PR03", "PR07"}
add_module_names = False
python_maximum_signature_line_length = 88
viewcode_line_numbers = True

html_theme = "pydata_sphinx_theme"
html_title = "Speech emotion recognition, honestly measured"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("sort.js", {"defer": "defer"})]
html_favicon = "_static/mark.svg"
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_theme_options = {
    "logo": {"text": "ser", "image_light": "_static/mark.svg", "image_dark": "_static/mark.svg"},
    "icon_links": [{"name": "Source", "url": REPOSITORY, "icon": "fa-brands fa-github"}],
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "results/index": []},
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_toc_level": 2,
}
html_sidebars = {
    name: []
    for name in ("changelog", "contributing", "faq", "how-it-works", "index", "make-it-yours")
}
