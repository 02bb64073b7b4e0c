"""One list of requests and of what a Kubernetes API server answers, asked of the embedded API and of a real one.

    make test                                             # the embedded API
    TIDEGATE_TEST_KUBECONFIG=~/.kube/test make kubernetes # the real one as well

What is expected is the same for both: where the embedded API fails a row it is mended, and what the real one fails was
expected wrongly. Each row has a namespace of its own, and is asked under the CRDs of `deploy/` and, where
`TIDEGATE_TEST_ARGO_CRDS` names them, under Argo's; the embedded API treats a Rollout as either.

No row asks for what the embedded API is known to leave out or to do in another way:

* It has no schemas. Fields that a kind does not have are kept, with `fieldValidation=Strict` too, and types are judged
  only where the product's clients meet them. Under Argo's CRDs it fills in what their schema says of pod templates, and
  does not leave out other fields.
* Lists in custom resources are owned as a whole; Argo's CRDs have lists with keys (`containers`, by `name`).
* A ResourceQuota has no `status`, and counts numbers of objects alone.
* A change without effect by another applier has a time in managed fields, and a scale has; the order of entries by time
  is not compared.
* Causes of a refusal that the real server gives twice, or with words of its own ("some validation rules were not
  checked"), come once.
* Protobuf, conversion webhooks, CustomResourceDefinitions and ValidatingAdmissionPolicies as objects.

An initial list by a watch (`sendInitialEvents`) is not asked of the real one: it needs etcd 3.4.25 or newer there.
"""
