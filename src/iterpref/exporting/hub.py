"""An exported folder → a dataset of the Hugging Face hub.

The token is huggingface_hub's own business (`HF_TOKEN`, or `hf auth login`); it is never read, stored or shown here.
`HF_ENDPOINT` names another hub. Pushing again makes a new commit with what changed.
"""

import os
from pathlib import Path

from iterpref.errors import ConfigError, IterPrefError
from iterpref.exporting.place import CARD_FILE, DATA_FILE


class HubError(IterPrefError):
    """A hub that can't be reached or refuses; the export itself is on disk."""


def push_to_hub(folder: Path, repository: str, *, private: bool = True) -> str:
    """Upload data and card to `repository` (`owner/name`), made when absent; returns the commit's address.

    Raises:
        ConfigError: huggingface_hub is not installed.
        HubError: No such hub, no network, no right to write, or no proper name.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise ConfigError("--push needs huggingface_hub; pip install 'iterpref[train]'") from None
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[DATA_FILE, CARD_FILE],
            commit_message=f"Add pairs of {folder.name}",
        )
    except HFValidationError as error:
        raise HubError(f"--push {repository}: {_first_line(error)}; expected owner/name") from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no answer")
        raise HubError(
            f"--push {repository}: {api.endpoint} refused with status {status}: {_first_line(error)}; the export is in "
            f"{folder}. Check the name and the token (HF_TOKEN, or `hf auth login`), then run the same command again"
        ) from None
    except Exception as error:
        # What a dead network raises has changed with each of its major versions, so nothing narrower would last.
        raise HubError(
            f"--push {repository}: {api.endpoint} can't be reached or gives no proper answer ({type(error).__name__}: "
            f"{_first_line(error)}); the export is in {folder}. Run the same command again when there is a network"
        ) from error
    return str(commit.commit_url)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
