"""Fetch a data set through Kaggle's official client, and put its errors into plain words."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import requests

from ser.project import SerError

CREDENTIALS = (
    "Kaggle asks for an account: on kaggle.com open Settings, API, 'Create New Token'.\n"
    "Put the kaggle.json it gives you into ~/.kaggle/, or set KAGGLE_USERNAME and KAGGLE_KEY."
)


def fetch_dataset(dataset: str, folder: Path, *, progress: bool = True) -> Path:
    """Download a whole data set as one zip file; a broken transfer goes on where it stopped."""
    api = _signed_in()
    folder.mkdir(parents=True, exist_ok=True)
    said = io.StringIO()  # the client prints the data set's address and more; we said our own
    try:
        with contextlib.redirect_stdout(said):
            api.dataset_download_files(dataset, path=str(folder), quiet=not progress, unzip=False)
    except requests.HTTPError as error:
        raise SerError(_refusal(dataset, error)) from error
    except requests.RequestException as error:
        raise SerError(
            f"{dataset}: Kaggle cannot be reached, or broke off the transfer. Check the network "
            "and run the same command again: it goes on from there."
        ) from error
    except ValueError as error:
        raise SerError(f"{dataset}: {error}. Run the same command again.") from error
    return folder / f"{dataset.split('/')[1]}.zip"


def _signed_in() -> Any:
    """Return the client. Importing it signs in, and some versions end the program instead."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            import kaggle

            kaggle.api.authenticate()
    except requests.RequestException as error:
        raise SerError(
            "Kaggle cannot be reached to check the credentials. Check the network and run the "
            "same command again."
        ) from error
    except ImportError as error:
        raise SerError(
            f"Kaggle's client cannot be loaded ({error}). Install it: `pip install kaggle`."
        ) from error
    except (SystemExit, NameError, OSError, ValueError) as error:  # NameError: Jupyter has no exit
        raise SerError(f"no Kaggle credentials found.\n{CREDENTIALS}") from error
    return kaggle.api


def _refusal(dataset: str, error: requests.HTTPError) -> str:
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return f"{dataset}: Kaggle refuses the credentials ({status}).\n{CREDENTIALS}"
    if status == 404:
        return (
            f"{dataset}: no such data set on Kaggle (404). It may have moved: download it by hand, "
            "unpack it and use `ser data add`."
        )
    return f"{dataset}: Kaggle answers {status}. Run the same command again later."
