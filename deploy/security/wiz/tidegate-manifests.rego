# A custom rule of Wiz Code for Kubernetes manifests (policy `tidegate-manifests`, which the release pipeline calls): what
# deploy/kustomize promises has to hold for whatever is added to it. Wiz hands over one object as `input` and reads
# `result`: https://docs.wiz.io, custom cloud configuration rules.
package wiz

import rego.v1

default result := "pass"

result := "fail" if {
	count(problems) > 0
}

currentConfiguration := concat("; ", problems)

expectedConfiguration := "no wildcard, no right on Secrets, restricted and read-only pods, images of registry.internal"

template := input.spec.template.spec if {
	input.kind in {"Deployment", "WorkerDeployment"}
}

roles := {"Role", "ClusterRole"}

problems contains text if {
	roles[input.kind]
	rule := input.rules[_]
	field := {"verbs", "resources", "apiGroups"}[_]
	rule[field][_] == "*"
	text := sprintf("a rule grants every one of its %s", [field])
}

problems contains "a rule grants something on Secrets" if {
	roles[input.kind]
	input.rules[_].resources[_] == "secrets"
}

problems contains text if {
	container := template.containers[_]
	not startswith(container.image, "registry.internal/")
	text := sprintf("image %s is not of registry.internal", [container.image])
}

problems contains text if {
	container := template.containers[_]
	not container.securityContext.readOnlyRootFilesystem == true
	text := sprintf("container %s can write to its image", [container.name])
}

problems contains text if {
	container := template.containers[_]
	not container.securityContext.allowPrivilegeEscalation == false
	text := sprintf("container %s may gain privileges", [container.name])
}

problems contains "the pod may run as root" if {
	template.containers
	not template.securityContext.runAsNonRoot == true
}
