"""The chart's documents say what its values say."""

import re
import subprocess
import sys

import yaml


def test_readme_and_schema_are_made_from_the_values_comments(root):
    result = subprocess.run(
        [sys.executable, root / "hack/chart-docs", "--check"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_every_value_has_a_comment(chart):
    """The keys of a GPU family are explained together, above the families."""
    text = (chart / "values.yaml").read_text()
    described = set(re.findall(r"^\| `([^`]+)` \|", (chart / "README.md").read_text(), re.MULTILINE))

    def leaves(node, path):
        if isinstance(node, dict) and node and path != ("gpuFamilies",):
            for key, value in node.items():
                if ".".join((*path, key)) not in described:
                    yield from leaves(value, (*path, key))
        elif ".".join(path) not in described:
            yield ".".join(path)

    assert list(leaves(yaml.safe_load(text), ())) == []


def test_every_gpu_family_is_in_the_readme(chart):
    families = yaml.safe_load((chart / "values.yaml").read_text())["gpuFamilies"]
    rows = {}
    for line in (chart / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            for name in re.findall(r"`([^`]+)`", cells[0]):
                rows[name] = cells[2:]
    assert rows == {
        name: [family.get("resourceName", ""), ", ".join(family["imageVariants"]), family["dtype"]]
        for name, family in families.items()
    }


def test_the_memory_table_is_what_the_chart_computes(chart, render):
    text = (chart / "README.md").read_text()
    rows = re.findall(r"^\| `facebook/(opt-\S+)` \| \S+ GiB \| (\d+) GiB \| ", text, re.MULTILINE)
    assert len(rows) == 6
    for model, memory in rows:
        objects = render({"models": [{"name": "m", "model": f"facebook/{model}"}]})
        assert objects.container("openaisle-m")["resources"]["limits"]["memory"] == f"{memory}Gi"
