# What stands around Tidegate, in the order in which it is needed. Tidegate itself is Argo CD's (deploy/argocd).

module "inputs" {
  source = "./inputs"
  size   = var.size
  teams  = var.teams
}

# ------------------------------------------------------------------------------------------------------------ namespaces

resource "kubernetes_namespace_v1" "this" {
  for_each = module.inputs.namespaces
  metadata {
    name   = each.key
    labels = each.value
  }
}

# ----------------------------------------------------------------------------------------------------------------- Vault

resource "vault_auth_backend" "kubernetes" {
  type = "kubernetes"
  path = "kubernetes"
}

resource "vault_kubernetes_auth_backend_config" "this" {
  backend         = vault_auth_backend.kubernetes.path
  kubernetes_host = var.kubernetes_host
}

# The very files that deploy/vault/apply.sh applies.
resource "vault_policy" "this" {
  for_each = module.inputs.policies
  name     = each.key
  policy   = each.value
}

resource "vault_kubernetes_auth_backend_role" "this" {
  for_each                         = module.inputs.roles
  backend                          = vault_auth_backend.kubernetes.path
  role_name                        = each.key
  bound_service_account_names      = each.value.bound_service_account_names
  bound_service_account_namespaces = each.value.bound_service_account_namespaces
  audience                         = each.value.audience
  token_policies                   = each.value.token_policies
  token_no_default_policy          = each.value.token_no_default_policy
  token_ttl                        = 3600
  token_max_ttl                    = 86400

  depends_on = [vault_policy.this]
}

# Temporal takes what this key signs for what it says: nobody else may have a role with it.
resource "vault_identity_oidc_key" "temporal" {
  name               = "temporal"
  algorithm          = "RS256"
  rotation_period    = 86400
  verification_ttl   = 86400
  allowed_client_ids = ["temporal"]
}

resource "vault_identity_oidc_role" "temporal" {
  for_each  = module.inputs.temporal_tokens
  name      = each.key
  key       = vault_identity_oidc_key.temporal.name
  client_id = each.value.client_id
  template  = each.value.template
  ttl       = 3600
}

# ----------------------------------------------------------------------------------------------------- Istio and Temporal

resource "helm_release" "istio_base" {
  name       = "istio-base"
  namespace  = "istio-system"
  repository = "https://istio-release.storage.googleapis.com/charts"
  chart      = "base"
  version    = var.istio_version
  depends_on = [kubernetes_namespace_v1.this]
}

resource "helm_release" "istiod" {
  name       = "istiod"
  namespace  = "istio-system"
  repository = "https://istio-release.storage.googleapis.com/charts"
  chart      = "istiod"
  version    = var.istio_version
  wait       = true
  depends_on = [helm_release.istio_base]
}

# Pods of restricted namespaces join the mesh without an init container of their own.
resource "helm_release" "istio_cni" {
  name       = "istio-cni"
  namespace  = "istio-system"
  repository = "https://istio-release.storage.googleapis.com/charts"
  chart      = "cni"
  version    = var.istio_version
  wait       = true
  depends_on = [helm_release.istiod]
}

resource "helm_release" "temporal" {
  name       = "temporal"
  namespace  = "temporal"
  repository = "https://go.temporal.io/helm-charts"
  chart      = "temporal"
  version    = var.temporal_chart_version
  values     = module.inputs.temporal_values
  timeout    = 900
  depends_on = [kubernetes_namespace_v1.this]
}

resource "helm_release" "worker_controller" {
  name       = "temporal-worker-controller"
  namespace  = "temporal"
  repository = "oci://docker.io/temporalio"
  chart      = "temporal-worker-controller"
  version    = var.worker_controller_version
  depends_on = [helm_release.temporal]
}

# --------------------------------------------------------------------------------------------------------------- Argo CD

resource "kubernetes_manifest" "argocd" {
  for_each   = module.inputs.argocd
  manifest   = each.value
  depends_on = [helm_release.worker_controller, helm_release.istiod]
}

# -------------------------------------------------------------------------------------------------------------- identity

# Okta signs people in and federates to Entra, where the Temporal UI is an application and groups become permissions.
resource "azuread_application" "temporal_ui" {
  display_name            = "Temporal UI (Tidegate)"
  sign_in_audience        = "AzureADMyOrg"
  group_membership_claims = ["ApplicationGroup"]

  web {
    redirect_uris = [var.ui_callback]
    implicit_grant {
      access_token_issuance_enabled = false
      id_token_issuance_enabled     = false
    }
  }
}

resource "azuread_service_principal" "temporal_ui" {
  client_id                    = azuread_application.temporal_ui.client_id
  app_role_assignment_required = true
}

resource "azuread_group" "access" {
  for_each         = module.inputs.groups
  display_name     = each.key
  description      = each.value
  security_enabled = true
}
