"""PreferencePair → one verdict per filter, each with what it measured. A pair is kept when all of them keep it.

The paper's filters (arXiv:2503.02783, data section): D⁻ is only comments, D⁻ has more than 20 lines, a side has more
than 2,048 tokens, the ASTs are equal. Ours: the rejected program was cut at the token limit, the rejected reply holds
no program or another one than was asked for, nothing to penalise (an insertion-only fix), and exact duplicates. Whether
a difference is logical is a judge's word.
"""

import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from iterpref.config import PairingConfig
from iterpref.errors import RecordError
from iterpref.line_diff import changed_spans
from iterpref.programs import (
    code_lines,
    code_of,
    defines,
    extract_program,
    is_bare_code,
    other_languages,
    syntax_tree,
    without_docstrings,
)
from iterpref.records import FilterVerdict, PreferencePair

CountTokens = Callable[[str], int]


def estimated_tokens(text: str) -> int:
    """Three bytes a token: code tokenizers make fewer tokens than this of ordinary programs."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 3)


@dataclass
class Filters:
    """The filters with their settings; remembers the pairs it has seen, to find duplicates."""

    settings: PairingConfig
    count_tokens: CountTokens = estimated_tokens
    _seen: set[str] = field(default_factory=set)

    def check(self, pair: PreferencePair, entry_point: str | None, cut: bool = False) -> PreferencePair:
        """The pair with the verdict of every filter, in the order of the funnel. `cut`: its rejected program was cut.

        Raises:
            RecordError: D⁻ is empty and the policy is `error`.
        """
        return pair.model_copy(update={"filters": tuple(self._verdicts(pair, entry_point, cut))})

    def _verdicts(self, pair: PreferencePair, entry_point: str | None, cut: bool) -> Iterator[FilterVerdict]:
        chosen, rejected = code_of(pair.chosen), code_of(pair.rejected)
        unfinished = cut and self.settings.cut == "drop"
        why = "the rejected program was cut at max_tokens (pairing.cut=keep keeps it)"
        yield verdict_of("cut", not unfinished, why)
        foreign = _foreign(pair)
        keeps = self.settings.other_languages or not foreign
        yield verdict_of("language", keeps, f"the code is {foreign}, not Python (pairing.other_languages keeps it)")
        # Bare code with a SyntaxError is a program as much as the same code in a fence.
        program = bool(extract_program(pair.rejected) or foreign or is_bare_code(pair.rejected))
        yield verdict_of("program", program, "the rejected reply holds no program")
        wanted = entry_point is None or defines(rejected, entry_point) or not defines(chosen, entry_point)
        yield verdict_of("entry_point", wanted, f"the rejected program does not define {entry_point}")
        yield self._wrong_lines(pair)
        only_comments = not foreign and _only_comments(pair)
        yield verdict_of("comments", not only_comments, "all wrong lines are comments or blank")
        removed = self._wrong_line_count(pair)
        most = self.settings.max_removed_lines
        yield verdict_of("removed_lines", removed <= most, f"{removed} wrong lines, at most {most} allowed")
        tokens = max(self.count_tokens(pair.chosen), self.count_tokens(pair.rejected))
        most = self.settings.max_tokens
        yield verdict_of("tokens", tokens <= most, f"{tokens} tokens, at most {most} allowed")
        yield verdict_of("same_ast", not same_ast(chosen, rejected), "both programs have the same syntax tree")
        key = pair.content_hash
        yield verdict_of("duplicate", key not in self._seen, "an earlier pair has the same text")
        if not unfinished:  # the same program may have been written to its end elsewhere
            self._seen.add(key)

    def _wrong_line_count(self, pair: PreferencePair) -> int:
        """As the diff counts: with `full` and `anchor` a fix that only inserts lines has spans, but no wrong line."""
        if self.settings.empty_removed in ("full", "anchor"):
            return len(changed_spans(pair.rejected, pair.chosen, pair.diff).rejected)
        return len(pair.rejected_spans)

    def _wrong_lines(self, pair: PreferencePair) -> FilterVerdict:
        """The policy for a fix that only inserts lines; with `full` and `anchor` there are spans already."""
        if pair.rejected_spans or self.settings.empty_removed == "full":
            return FilterVerdict(name="wrong_lines", kept=True)
        if self.settings.empty_removed == "error":
            raise RecordError(
                f"pair {pair.pair_id}: the fix only inserts lines, so there is nothing to penalise; set "
                "pairing.empty_removed to drop, full or anchor"
            )
        return verdict_of("wrong_lines", False, "the fix only inserts lines")


def verdict_of(name: str, kept: bool, reason: str) -> FilterVerdict:
    return FilterVerdict(name=name, kept=kept, reason="" if kept else reason)


def same_ast(first: str, second: str) -> bool:
    """Whether two programs differ at most in layout, comments and docstrings; False when one doesn't parse."""
    try:
        one, other = (ast.dump(without_docstrings(syntax_tree(program))) for program in (first, second))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return one == other


def _foreign(pair: PreferencePair) -> str:
    """The language of a rejected side that holds code and no Python; "" of any other."""
    if extract_program(pair.rejected):
        return ""
    if named := other_languages(pair.rejected):
        return " and ".join(named) if code_of(pair.rejected).strip() else ""
    if extract_program(pair.chosen) or not is_bare_code(pair.rejected):
        return ""
    return " and ".join(other_languages(pair.chosen)) or ("another language" if is_bare_code(pair.chosen) else "")


def _only_comments(pair: PreferencePair) -> bool:
    """Whether every line of D⁻ is a comment or blank; a `#` inside a string is code."""
    if not pair.rejected_spans:
        return False
    removed = {span.start for span in pair.rejected_spans}
    lines = code_lines(pair.rejected)
    code = _lines_of_code("\n".join(line.text for line in lines))
    wrong = [number for number, line in enumerate(lines, start=1) if line.start in removed]
    return bool(wrong) and not code.intersection(wrong)  # an anchor need not begin a line


_NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def _lines_of_code(text: str) -> set[int]:
    """Numbers (from 1) of the lines that hold more than a comment."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        # Not Python as a whole: judge each line by its looks.
        lines = enumerate(text.split("\n"), start=1)
        return {number for number, line in lines if line.strip() and not line.lstrip().startswith("#")}
    return {
        number for token in tokens if token.type not in _NOT_CODE for number in range(token.start[0], token.end[0] + 1)
    }
