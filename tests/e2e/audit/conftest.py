"""OpenAI's completions API from outside, row by row: what its documents promise and its clients rely on.

Every test runs at the model server itself, through the gateway, and through the page's nginx before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import KEY, Stack, run_page

from .tier import Tier

TIERS = ("engine", "adapter", "nginx")


@pytest.fixture(scope="session")
def tiers(stack: Stack, free_port, tmp_path_factory) -> Iterator[dict[str, Tier]]:
    with run_page(free_port(), tmp_path_factory.mktemp("page"), stack.adapter.url) as page:
        page.wait_until_ready("/healthz")
        yield {
            "engine": Tier("engine", stack.opt.url, None),
            "adapter": Tier("adapter", stack.adapter.url, KEY),
            "nginx": Tier("nginx", page.url, KEY),
        }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that asks for `tier` runs once for each way in, or for those in its module's TIERS."""
    if "tier_name" in metafunc.fixturenames:
        metafunc.parametrize("tier_name", getattr(metafunc.module, "TIERS", TIERS))


@pytest.fixture
def tier(tier_name: str, tiers: dict[str, Tier]) -> Tier:
    return tiers[tier_name]


@pytest.fixture(params=TIERS[1:])
def locked(request: pytest.FixtureRequest, tiers: dict[str, Tier]) -> Tier:
    """A way in that wants a key."""
    return tiers[request.param]
