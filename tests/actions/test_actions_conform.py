"""Every shipped action keeps the contract of the plugin room."""

import importlib
import pkgutil

import pytest

from monitor import actions
from monitor.actions import ACTIONS
from monitor.plugin import Risk
from monitor.testing import assert_action_conforms


def test_every_module_with_an_action_is_in_the_list_once():
    """What is not in the list does not exist for the product."""
    modules = [
        importlib.import_module(found.name) for found in pkgutil.iter_modules(actions.__path__, "monitor.actions.")
    ]
    written = [module.ACTION.name for module in modules if hasattr(module, "ACTION")]
    assert sorted(action.name for action in ACTIONS) == sorted(written)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
async def test_an_action_conforms(action):
    """Declarations are whole, the example parses, the plan is pure and plain JSON."""
    await assert_action_conforms(action)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_what_cannot_be_undone_is_not_called_reversible(action):
    """The risk of an action without an undo is not `reversible`: a gate relies on it."""
    assert (action.undo is None) <= (action.risk is not Risk.REVERSIBLE)
