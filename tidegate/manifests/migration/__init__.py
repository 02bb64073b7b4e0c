"""What a Rollout of Argo's controller becomes when a release takes it over. Pure."""

from tidegate.manifests.migration.assessment import Assessment, Verdict, assess, with_errors
from tidegate.manifests.migration.differences import DIFFERENCES

__all__ = ["DIFFERENCES", "Assessment", "Verdict", "assess", "with_errors"]
