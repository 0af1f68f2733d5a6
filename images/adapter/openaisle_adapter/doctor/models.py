"""The models of a release, read from the workloads that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..discovery.endpointslices import MODEL_ANNOTATION
from .view import MODEL_NAME, Object, View, labels

ORDINARY = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True)
class Model:
    """One entry of the chart's `models`, or one OPTModel."""

    name: str
    served: str
    """The id that clients use."""
    family: str
    replicas: int
    ready: int
    workload: Object
    """Its StatefulSet or Deployment."""
    pod_spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        """The server's container."""
        found: dict[str, Any] = self.pod_spec["containers"][0]
        return found

    @property
    def gpus(self) -> tuple[str, int]:
        """What a GPU is called in resource requests, and how many a replica takes; ("", 0) on cpu."""
        for resource, count in (self.container.get("resources", {}).get("limits") or {}).items():
            if resource not in ORDINARY and "/" in resource:
                return resource, int(count)
        return "", 0

    @property
    def variant(self) -> str:
        """The image's variant, from the end of its tag: `cu126`; empty for cpu and for images of others."""
        found = re.search(r":[^/]*-(cu\d+|rocm|kepler)$", self.container.get("image", ""))
        return found[1] if found else ""

    @property
    def downloads(self) -> bool:
        """Whether its pods fetch the weights, in a container before the server's or in the server itself."""
        if any(container["name"] == "download" for container in self.pod_spec.get("initContainers", [])):
            return True
        return self.env.get("HF_HUB_OFFLINE", {}).get("value") != "1"

    @property
    def env(self) -> dict[str, dict[str, Any]]:
        """The variables of all containers by name, as a pod's spec holds them."""
        containers = [*self.pod_spec.get("initContainers", []), self.container]
        return {entry["name"]: entry for container in containers for entry in container.get("env", [])}

    @property
    def claims(self) -> list[str]:
        """Names of the PersistentVolumeClaims that its pods share."""
        return [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in self.pod_spec.get("volumes", [])
            if "persistentVolumeClaim" in volume
        ]


def models_of(view: View) -> list[Model]:
    """All models of the release.

    Raises:
        Unseen: the account may not list workloads.
    """
    workloads = view.of_release("statefulsets", "opt") + view.of_release("deployments", "opt")
    return sorted((_model(item) for item in workloads), key=lambda model: model.name)


def _model(workload: Object) -> Model:
    template = workload["spec"]["template"]
    template_labels = labels(template)
    annotations = template["metadata"].get("annotations") or {}
    return Model(
        name=template_labels.get(MODEL_NAME, workload["metadata"]["name"]),
        served=annotations.get(MODEL_ANNOTATION, ""),
        family=template_labels.get("openaisle.io/gpu-family", ""),
        replicas=int(workload["spec"].get("replicas", 1)),
        ready=int((workload.get("status") or {}).get("readyReplicas") or 0),
        workload=workload,
        pod_spec=template["spec"],
    )
