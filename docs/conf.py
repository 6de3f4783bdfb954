"""Sphinx builds the site from this with `make docs`; every warning is an error."""

import aioaug

project = "aioaug"
author = "the aioaug authors"
copyright = f"2026 {author}"
version = release = aioaug.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"aioaug {version}"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

default_role = "literal"  # as in Markdown
autodoc_mock_imports = ["torch"]  # the pages are built without it
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

# There is no inventory of the libraries that type hints name, for want of the network.
nitpick_ignore_regex = [
    (r"py:.*", r"_?(asyncio|collections|contextlib|typing|imgaug|np|numpy|os)\..*"),
    (r"py:.*", r"[a-z]+|[A-Z]\w*Error|Any|None"),  # built in
    (r"py:.*", r"(dict|tuple)\[~?[\w.]+"),  # hints of fields, which autodoc cuts at their commas
    (r"py:.*", r"(aioaug\.images\.settings\.)?GeneratorSettings"),  # private
    # What users do not name.
    (
        r"py:.*",
        r"(aioaug\..*\.)?(T|State|Caller|EngineFactory|RunningProcess|Success|Failure)",
    ),
    (r"py:.*", r"np\.\w+|NDArray|Arrays?|DTypeLike|SeedSequence|Generator|_thread\.\w+"),
    (r"py:.*", r"starlette\..*|aioaug\.web\.\w+\.(FeedTask|DisconnectGuard)"),
    (r"py:.*", r"torch\..*|aioaug\.torch\.epochs\.Share"),
    (r"py:.*", r"aioaug\.batch\.\w+\.(RecordedAction|BatchData|Expression|Method|Work)"),
]
