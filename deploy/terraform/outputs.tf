output "temporal_ui_client_id" {
  description = "TEMPORAL_AUTH_CLIENT_ID of deploy/temporal/values.yaml."
  value       = azuread_application.temporal_ui.client_id
}

output "vault_roles" {
  description = "The roles that processes log in with (TIDEGATE_VAULT__ROLE)."
  value       = sort(keys(module.inputs.roles))
}
