import pytest


@pytest.fixture
def working_folder(tmp_path_factory, monkeypatch):
    """An empty folder, since commands keep features in that of the working folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("working"))
