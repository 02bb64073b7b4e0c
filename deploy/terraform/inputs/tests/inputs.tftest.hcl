variables {
  size  = 500
  teams = ["payments", "orders"]
}

run "reads_what_the_repository_holds" {
  command = plan

  assert {
    condition     = toset(keys(output.roles)) == setunion(toset(keys(output.policies)), ["argo-rollouts-datadog"])
    error_message = "every policy has a role, and the operator's role reads with a policy of its own"
  }
  assert {
    condition     = alltrue([for role in values(output.roles) : role.token_no_default_policy && role.audience == "vault"])
    error_message = "no role has the default policy, and each takes tokens for Vault alone"
  }
  assert {
    condition     = length(setsubtract(keys(output.temporal_tokens), keys(output.roles))) == 0 && length(output.temporal_tokens) == 7
    error_message = "each process has a token for Temporal, and a role that may read it"
  }
  assert {
    condition     = strcontains(output.temporal_values[1], "replicaCount: 4")
    error_message = "the size chooses the values"
  }
  assert {
    condition     = output.namespaces["tidegate"]["pod-security.kubernetes.io/enforce"] == "restricted"
    error_message = "Tidegate's namespace is restricted"
  }
  assert {
    condition     = contains(keys(output.argocd), "Application/tidegate") && contains(keys(output.namespaces), "orders")
    error_message = "the applications and the teams are there"
  }
}

run "refuses_a_size_that_there_is_not" {
  command = plan
  variables {
    size = 100
  }
  expect_failures = [var.size]
}

run "refuses_a_team_by_a_bad_name" {
  command = plan
  variables {
    teams = ["Payments"]
  }
  expect_failures = [var.teams]
}

run "refuses_a_team_in_somebody_elses_namespace" {
  command = plan
  variables {
    teams = ["temporal"]
  }
  expect_failures = [var.teams]
}
