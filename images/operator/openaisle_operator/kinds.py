"""The kinds of objects that the operator handles. The Role in the chart allows these and no others."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import Refused


@dataclass(frozen=True)
class Kind:
    """A kind of namespaced objects."""

    api_version: str
    name: str
    plural: str

    @property
    def group(self) -> str:
        """Empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """For example v1."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str) -> str:
        """Where the API server has them."""
        root = "apis" if self.group else "api"
        return f"/{root}/{self.api_version}/namespaces/{namespace}/{self.plural}"


OPT_MODEL = Kind("openaisle.io/v1alpha1", "OPTModel", "optmodels")
POD = Kind("v1", "Pod", "pods")
EVENT = Kind("v1", "Event", "events")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")

WORKLOADS = (STATEFUL_SET, DEPLOYMENT)
CHILDREN = (
    # What a workload needs comes before it.
    Kind("v1", "ConfigMap", "configmaps"),
    CLAIM,
    Kind("v1", "Service", "services"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("batch/v1", "Job", "jobs"),
    *WORKLOADS,
)
"""What the chart makes for a model."""


def kind_of(api_version: str, name: str) -> Kind:
    """The kind among CHILDREN.

    Raises:
        Refused: it isn't one.
    """
    for kind in CHILDREN:
        if (kind.api_version, kind.name) == (api_version, name):
            return kind
    raise Refused("RenderFailed", f"The chart makes a {name} for the model, which the operator may not.")
