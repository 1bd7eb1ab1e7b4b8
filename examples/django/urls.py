"""The pages of the example."""

import views
from django.urls import path

urlpatterns = [
    path("", views.home),
    path("register", views.register),
    path("code", views.code),
    path("login", views.login),
]
