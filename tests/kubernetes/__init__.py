"""Tidegate on a real Kubernetes control plane, under the roles of `deploy/`, used as Argo's users use it.

    TIDEGATE_TEST_KUBECONFIG=~/.kube/test make kubernetes

That cluster may be any of which the kubeconfig's user is the administrator and that is there for tests: the suite puts
the CRDs of `deploy/crds` in the place of those that stand, and at the end puts those back. It makes namespaces, roles
and policies of its own, with random names, and deletes them. Worker, watcher and Temporal are processes beside it.
What more there is, by variables:

    TIDEGATE_TEST_ARGO_PLUGIN       Argo's kubectl plugin, by which all is done a second time
    TIDEGATE_TEST_ARGO_CRDS         a folder with Argo's CRDs, under which all is done a second time
    TIDEGATE_TEST_ARGO_CONTROLLER   Argo's controller, to take over from and to hand back to
    TIDEGATE_TEST_GATEWAY_CRDS      a folder with the CRDs of the Gateway API, on whose routes weights are written
    TIDEGATE_TEST_AUDIT_LOG         the API server's audit log of JSON lines, to count requests in
    TIDEGATE_TEST_PODS=simulated    where no kubelet is: pods are bound and made Ready by the suite

Istio need not be there: no traffic flows. Where its kinds are not served, the suite brings open ones.
"""
