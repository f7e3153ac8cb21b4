"""The trainer's loss and gradients against the paper's equations, written out once more here in float64.

Nothing of the package computes the reference: texts are built by hand, and a token's place in the text is counted in
the bytes that its byte-level name stands for, not read from offsets.
"""

from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid

from iterpref.records import PreferencePair
from iterpref.training import read_pairs
from iterpref.training.config import FocalDPOConfig
from iterpref.training.trainer import FocalDPOTrainer

from .conftest import example_pairs, make_pair, write_pairs

BETA, ALPHA = 0.3, 2.0
FOCAL = ("target_dpo", "target_rpo")


def by_hand(pair: PreferencePair, completion: str, tokenizer: Any, bos: bool) -> tuple[list[int], list[int], list[int]]:
    """Ids of the whole text, and per token whether it belongs to the completion, and to D⁻."""
    if isinstance(pair.prompt, str):
        before, after = pair.prompt, "</s>"
    else:
        before, after = f"<|im_start|>user\n{pair.prompt[0].content}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n"
    ids = tokenizer(before + completion + after, add_special_tokens=False)["input_ids"]
    wrong, fences, at = set(), set(), len(before.encode())
    completion_from = at
    marked = {i for span in pair.rejected_spans for i in range(span.start, span.stop)}
    position = 0
    for line in completion.splitlines(keepends=True):
        here = range(at, at + len(line.encode()))
        if line.startswith("```"):
            fences.update(range(at, at + len(line.rstrip("\n").encode())))
        elif position in marked:
            wrong.update(here)
        at, position = here.stop, position + len(line)
    in_completion, focal, stop = [], [], 0
    for token in tokenizer.convert_ids_to_tokens(ids):
        start, stop = stop, stop + (len(token.encode()) if token in tokenizer.all_special_tokens else len(token))
        here = set(range(start, stop))
        in_completion.append(int(stop > completion_from))
        focal.append(int(bool(here & wrong) and not here & fences))
    assert stop == len((before + completion + after).encode())
    return ([tokenizer.bos_token_id] if bos else []) + ids, [0] * bos + in_completion, [0] * bos + focal


def reference_loss(policy, reference, pairs, tokenizer, method, bos=False, max_length=None) -> torch.Tensor:
    """PAPER §2: L = -log sigmoid(beta (K+ - K-')) + alpha NLL(y+), averaged over pairs; NLL over the batch's tokens."""
    preference, nll, tokens = [], 0.0, 0
    for pair in pairs:
        log_ratio = {}
        for side, completion in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            ids, mask, focal = by_hand(pair, completion, tokenizer, bos)
            if side == "rejected" and method in FOCAL:
                mask = focal
            x, w = torch.tensor([ids[:max_length]]), torch.tensor(mask[:max_length])[1:]
            logps = [
                m(x).logits[0, :-1].log_softmax(-1).gather(1, x[0, 1:, None])[:, 0] * w for m in (policy, reference)
            ]
            log_ratio[side] = logps[0].sum() - logps[1].sum().detach()
            if side == "chosen":
                nll, tokens = nll - logps[0].sum(), tokens + w.sum()
        preference.append(-logsigmoid(BETA * (log_ratio["chosen"] - log_ratio["rejected"])))
    dpo, nll = torch.stack(preference).mean(), nll / tokens
    return {"sft": nll, "rpo": dpo + ALPHA * nll, "target_rpo": dpo + ALPHA * nll}.get(method, dpo)


def make_trainer(tmp_path, workshop, pairs, kind="llama", bos=False, chat=False, **config) -> FocalDPOTrainer:
    model, tokenizer = workshop(kind, bos=bos, chat=chat)
    method = config["method"]
    args = FocalDPOConfig(
        output_dir=str(tmp_path / "out"),
        beta=BETA,
        alpha=ALPHA if method.endswith("rpo") else 1.0,
        use_cpu=True,
        gradient_checkpointing=False,
        per_device_train_batch_size=len(pairs),
        **config,
    )
    dataset = read_pairs(write_pairs(tmp_path / "pairs", pairs))
    return FocalDPOTrainer(model, args=args, train_dataset=dataset, processing_class=tokenizer)


def plain_copy(model: Any) -> Any:
    """A float64 copy without TRL's head, which would still run the original."""
    copy = type(model)(model.config).double()
    copy.load_state_dict(model.state_dict())
    return copy.eval()


def check(trainer: FocalDPOTrainer, pairs, tokenizer, method, **how) -> None:
    """Move the policy away from the reference, then compare loss and every parameter's gradient."""
    reference = plain_copy(trainer.model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    policy = plain_copy(trainer.model)
    expected = reference_loss(policy, reference, pairs, tokenizer, method, **how)
    expected.backward()
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(pairs))])
    with trainer.packed(trainer.model, batch):
        got = trainer.compute_loss(trainer.model, batch)
        got.backward()
    asked = trainer.args.trunk_attention
    assert trainer.trunk_mode == {"off": None, "auto": "split"}.get(asked, asked)
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)
    for (name, ours), theirs in zip(trainer.model.named_parameters(), policy.parameters(), strict=True):
        error = (ours.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert error < 2e-5, f"{name}: relative gradient error {error:.2e}"


METHODS = ["sft", "dpo", "rpo", "target_dpo", "target_rpo"]


@pytest.mark.parametrize("trunk", ["auto", "sdpa", "off"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("bos", "chat"),
    [
        pytest.param(False, False, id="plain text"),
        pytest.param(True, False, id="a BOS is prepended"),
        pytest.param(False, True, id="chat template"),
    ],
)
def test_matches_the_equations(tmp_path, workshop, method, bos, chat, trunk):
    pairs = example_pairs(chat=chat)
    trainer = make_trainer(tmp_path, workshop, pairs, bos=bos, chat=chat, method=method, trunk_attention=trunk)
    check(trainer, pairs, workshop("llama", bos=bos, chat=chat)[1], method, bos=bos)


@pytest.mark.parametrize("method", ["rpo", "target_rpo"])
def test_matches_the_equations_on_gpt2(tmp_path, workshop, method):
    pairs = example_pairs()
    trainer = make_trainer(tmp_path, workshop, pairs, kind="gpt2", method=method)
    check(trainer, pairs, workshop("gpt2", bos=False, chat=False)[1], method)


@pytest.mark.parametrize("method", ["rpo", "target_dpo", "target_rpo"])
def test_matches_the_equations_under_truncation(tmp_path, workshop, method):
    """The cut leaves some of D⁻ of each pair, and cuts both sides."""
    pairs = example_pairs()
    trainer = make_trainer(tmp_path, workshop, pairs, method=method, max_length=49)
    assert trainer.truncated == len(pairs) == len(trainer.train_dataset)
    check(trainer, pairs, workshop("llama", bos=False, chat=False)[1], method, max_length=49)


def test_matches_the_equations_with_precomputed_references(tmp_path, workshop):
    pairs = example_pairs()
    trainer = make_trainer(tmp_path, workshop, pairs, method="target_rpo", precompute_ref_log_probs=True)
    assert trainer.ref_model is None
    check(trainer, pairs, workshop("llama", bos=False, chat=False)[1], "target_rpo")


def test_insert_only_fix_taken_in_full_is_dpo(tmp_path, workshop):
    """With empty_removed=full the rejected side of such a pair counts whole, as in DPO."""
    chosen = ["```python", "def f(x):", ">    x += 1", "    return x", "```"]
    pairs = [make_pair("insert", "Write f!\n", chosen, [line for line in chosen if not line.startswith(">")])]
    trainer = make_trainer(tmp_path, workshop, pairs, method="target_dpo", empty_removed="full")
    check(trainer, pairs, workshop("llama", bos=False, chat=False)[1], "dpo")


def test_the_tokenizer_is_hard_enough(workshop):
    """What the tests above rely on: tokens cross line ends and fences, and token id 0 is in the chosen text."""
    tokenizer = workshop("llama", bos=False, chat=False)[1]
    pair = example_pairs()[0]
    ids = tokenizer(pair.chosen)["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    newline = tokenizer.convert_ids_to_tokens(tokenizer("\n")["input_ids"])[0]
    assert 0 in ids
    assert any(newline in token.strip(newline) or token.rstrip(newline) != token != newline for token in tokens)
    assert any(newline in token and "`" in token for token in tokens)
