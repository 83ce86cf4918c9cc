from tests import kept_renderers  # noqa: F401
