"""The values that the documents show are taken by the chart."""

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KNOWN = yaml.safe_load((ROOT / "charts/openaisle/values.yaml").read_text()).keys()


def examples():
    """Blocks of YAML that are values, by document and line."""
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("charts/*/*.md")]):
        text = path.read_text()
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            block, *more = yaml.safe_load_all(match[1].replace("...", "x"))
            if not more and isinstance(block, dict) and block.keys() <= KNOWN:
                line = text[: match.start()].count("\n") + 1
                yield pytest.param(block, id=f"{path.relative_to(ROOT)}:{line}")


EXAMPLES = list(examples())


@pytest.mark.parametrize("values", EXAMPLES)
def test_an_example_is_taken_as_it_stands(render, values):
    assert render(values).of("Deployment")


def test_there_are_examples():
    assert len(EXAMPLES) >= 7
