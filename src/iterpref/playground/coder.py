"""The tiny coder that ships with the package: a folder that any transformers loader reads.

Under two million parameters (Llama architecture, bf16), pretrained by pretrain.py. It writes playground programs with
planted misconceptions and repairs them from feedback; it can do nothing else.
"""

from pathlib import Path

from iterpref.errors import ClientError

_FOLDER = Path(__file__).parent / "coder"


def coder_path() -> Path:
    """Folder with config, weights, tokenizer and chat template.

    Raises:
        ClientError: The weights are not there, as in a checkout without them.
    """
    if not (_FOLDER / "model.safetensors").is_file():
        raise ClientError(
            f"the playground's coder has no weights in {_FOLDER}. "
            f"Rebuild it: python -m iterpref.playground.pretrain --output {_FOLDER} --seed 0"
        )
    return _FOLDER


def describe_model(name: str) -> str:
    """A model for people: that it is the toy must not stay unsaid."""
    return "playground, the 1.65 M toy coder" if name == "playground" else name


def resolve_model(name: str) -> str:
    """`playground` is the coder; anything else is a folder or a hub id already."""
    return str(coder_path()) if name == "playground" else name
