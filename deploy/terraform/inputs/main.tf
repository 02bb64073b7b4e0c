# What is worked out from the files of this repository; no provider, so that it can be tested anywhere.
terraform {
  required_version = ">= 1.9"
}

variable "size" {
  description = "Releases under way at a time."
  type        = number
  validation {
    condition     = contains([50, 500, 5000], var.size)
    error_message = "There are values for 50, 500 and 5000 releases: deploy/temporal/values-<size>.yaml."
  }
}

variable "teams" {
  description = "Namespaces of the teams."
  type        = set(string)
  validation {
    condition     = alltrue([for name in var.teams : can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", name))])
    error_message = "A namespace has lower-case letters, digits and '-', with a letter or digit at both ends."
  }
  validation {
    condition     = length(setintersection(var.teams, local.own)) == 0
    error_message = "A team cannot have one of the namespaces tidegate, temporal, istio-system, argo-rollouts."
  }
}

locals {
  deploy     = "${path.module}/../.."
  own        = toset(["tidegate", "temporal", "istio-system", "argo-rollouts"])
  restricted = { "pod-security.kubernetes.io/enforce" = "restricted", "tidegate.io/images" = "pinned" }
  team       = { "istio-injection" = "enabled", "tidegate.io/images" = "pinned" }
  roles      = fileset("${local.deploy}/vault/kubernetes-roles", "*.json")
  tokens     = fileset("${local.deploy}/vault/temporal-tokens", "*.json")
  documents = flatten([
    for name in ["project.yaml", "applications.yaml"] :
    [for text in split("\n---\n", file("${local.deploy}/argocd/${name}")) : yamldecode(text)]
  ])
}

output "namespaces" {
  description = "Labels by namespace."
  value = merge(
    { "temporal" = {}, "istio-system" = {}, "argo-rollouts" = local.restricted },
    { "tidegate" = local.restricted },
    { for name in var.teams : name => local.team },
  )
}

output "policies" {
  description = "Text of each Vault policy by name."
  value = {
    for name in fileset("${local.deploy}/vault/policies", "*.hcl") :
    trimsuffix(name, ".hcl") => file("${local.deploy}/vault/policies/${name}")
  }
}

output "roles" {
  description = "Roles of Vault's Kubernetes auth method by name."
  value       = { for name in local.roles : trimsuffix(name, ".json") => jsondecode(file("${local.deploy}/vault/kubernetes-roles/${name}")) }
}

output "temporal_tokens" {
  description = "What Vault says of each process to Temporal, by name."
  value       = { for name in local.tokens : trimsuffix(name, ".json") => jsondecode(file("${local.deploy}/vault/temporal-tokens/${name}")) }
}

output "temporal_values" {
  description = "Values of Temporal's chart, later ones over earlier ones."
  value       = [file("${local.deploy}/temporal/values.yaml"), file("${local.deploy}/temporal/values-${var.size}.yaml")]
}

output "argocd" {
  description = "Argo CD's objects by kind and name."
  value       = { for each in local.documents : "${each.kind}/${each.metadata.name}" => each }
}

output "groups" {
  description = "Groups of deploy/temporal/access.md, and what they are for."
  value = {
    "platform"           = "May promote and abort releases"
    "sre"                = "May promote and abort releases"
    "temporal-operators" = "Operates Temporal"
  }
}
