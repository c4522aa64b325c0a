# Constant conditions: branches that can't be taken go, and what follows a return
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast

from .source import placed

_ENDS = (ast.Raise, ast.Return, ast.Break, ast.Continue)


def truth(node: ast.expr) -> bool | None:
    """Is a constant expression true? None where it is none."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, ast.Tuple) and not node.elts:
        return False
    return None


def is_pure(node: ast.AST) -> bool:
    """Can an expression be left out? One that calls or awaits something can't."""
    effects = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    return not any(isinstance(item, effects) for item in ast.walk(node))


class _Fold(ast.NodeTransformer):
    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        ends = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        for item in node.values:
            known = truth(item)
            if known is None or known is ends or item is node.values[-1]:
                kept.append(item)
            if known is ends:
                break
        node.values = kept
        return kept[0] if len(kept) == 1 else node

    def _condition(self, node: ast.expr) -> ast.expr:
        """An expression of which only the truth counts."""
        if isinstance(node, ast.BoolOp):
            ends = isinstance(node.op, ast.Or)
            kept = [self._condition(item) for item in node.values]
            known = [truth(item) for item in kept]
            # What comes before decides nothing any more, but may be more than a value.
            if ends in known and all(is_pure(item) for item in kept[: known.index(ends)]):
                return placed(ast.Constant(ends), node)
            kept = [item for item in kept if truth(item) in (None, ends)]
            if not kept:
                return placed(ast.Constant(not ends), node)
            node.values = kept
            return kept[0] if len(kept) == 1 else node
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = self._condition(node.operand)
        known = truth(node.operand)
        if isinstance(node.op, ast.Not) and known is not None:
            return placed(ast.Constant(not known), node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            left, right = node.left, node.comparators[0]
            both = isinstance(left, ast.Constant) and isinstance(right, ast.Constant)
            if both and (left.value is None or right.value is None):
                same = left.value is right.value
                return placed(ast.Constant(same is isinstance(node.ops[0], ast.Is)), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(one, ast.Tuple) and not one.elts and isinstance(other, ast.Tuple):
                    return other
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        node.test = self._condition(node.test)
        known = truth(node.test)
        return node if known is None else node.body if known else node.orelse

    def visit_If(self, node: ast.If):
        self.generic_visit(node)
        node.test = self._condition(node.test)
        known = truth(node.test)
        if known is not None:
            return (node.body if known else node.orelse) or None
        if not node.orelse and _nothing(node.body) and is_pure(node.test):
            return None
        if not node.orelse and _nothing(node.body):
            return placed(ast.Expr(node.test), node)
        return node

    def visit_While(self, node: ast.While):
        self.generic_visit(node)
        node.test = self._condition(node.test)
        return None if truth(node.test) is False and not node.orelse else node

    def visit_For(self, node: ast.For):
        self.generic_visit(node)
        return None if truth(node.iter) is False and not node.orelse else node


def _nothing(block: list[ast.stmt]) -> bool:
    return all(isinstance(item, ast.Pass) for item in block)


def fold(tree: ast.Module) -> None:
    """Resolves what is constant in a module; no block is left empty."""
    _Fold().visit(tree)
    for node in list(ast.walk(tree)):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                end = next((k for k, item in enumerate(block) if isinstance(item, _ENDS)), None)
                # The end of a generator must not make a plain function of it.
                rest = [] if end is None else block[end + 1 :]
                if rest and not any(_yields(item) for item in rest):
                    del block[end + 1 :]
                if (
                    field == "body"
                    and not block
                    and not isinstance(node, (ast.Module, ast.Lambda))
                ):
                    block.append(placed(ast.Pass(), node))
    _passes(tree)


def _yields(node: ast.AST) -> bool:
    return any(isinstance(item, (ast.Yield, ast.YieldFrom)) for item in ast.walk(node))


def _passes(tree: ast.AST) -> None:
    """A `pass` beside other statements goes."""
    for node in ast.walk(tree):
        block = getattr(node, "body", None)
        if isinstance(block, list) and len(block) > 1:
            rest = [item for item in block if not isinstance(item, ast.Pass)]
            block[:] = rest or block[:1]
