"""Runtime classes, by which some clusters hand GPUs to containers."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..models import models_of
from ..view import View, name


def check_runtime(view: View) -> Iterator[Finding]:
    """A line for each model whose GPU family names a RuntimeClass.

    Raises:
        Unseen: the account may not list workloads, or RuntimeClasses where one is named.
    """
    for model in models_of(view):
        wanted = model.pod_spec.get("runtimeClassName")
        if not wanted:
            continue
        classes = sorted(name(item) for item in view.all("runtimeclasses"))
        if wanted in classes:
            yield Finding("runtime", "ok", f"model {model.name}: the RuntimeClass {wanted} exists")
        else:
            yield Finding(
                "runtime",
                "fail",
                f"model {model.name}: the RuntimeClass {wanted} doesn't exist",
                f"correct gpuFamilies.{model.family}.runtimeClassName, or install what brings it "
                f"(the classes are: {', '.join(classes) or 'none'})",
                "not-created",
            )
