"""How likely is each token to a model? log p(y_i | what stands before it), for the figures that people look at."""

from collections.abc import Sequence

from iterpref.model_source import loading, model_source
from iterpref.packages import FOR_MODELS, need_packages


def token_log_probs(model: str, rows: Sequence[Sequence[int]]) -> list[list[float | None]]:
    """Natural logarithms, by a model that is loaded for this call only, in float32.

    Args:
        model: A model folder or a hub id.
        rows: N rows of token ids, of any lengths.

    Returns:
        For each row one value a token; None for its first, which nothing stands before.

    Raises:
        ClientError: The model doesn't load.
        MissingPackageError: torch or transformers are not installed.
    """
    need_packages("log-probabilities", *FOR_MODELS)
    source = model_source(model, tokenizer=False)
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with loading(model):
        network = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).to(device).eval()
    found: list[list[float | None]] = []
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([list(row)], device=device)  # (1, L)
            logits = network(input_ids=ids).logits[0, :-1]  # (L - 1, V): place i predicts token i + 1
            logps = torch.log_softmax(logits.float(), dim=-1).gather(1, ids[0, 1:, None])[:, 0]
            found.append([None, *logps.tolist()])
    return found
