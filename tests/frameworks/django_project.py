"""A Django project in one module, with the routes of `tests.frameworks.applications`."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.urls import re_path


def payments(request, rest=""):
    return HttpResponse("payments")


def elsewhere(request, rest=""):
    return HttpResponse("elsewhere")


# Patterns, because a `path` converter stops at a line break.
urlpatterns = [
    re_path(r"(?s)^payments\Z", payments),
    re_path(r"(?s)^payments/(?P<rest>.*)\Z", payments),
    re_path(r"(?s)^(?P<rest>.*)\Z", elsewhere),
]


def set_up():
    """Configure Django; may be called again."""
    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="not secret", MIDDLEWARE=[])
