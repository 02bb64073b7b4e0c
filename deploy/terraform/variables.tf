variable "size" {
  description = "Releases under way at a time that Temporal is sized for: 50, 500 or 5000."
  type        = number
}

variable "teams" {
  description = "Namespaces of the teams whose Rollouts Tidegate brings out."
  type        = set(string)
  default     = ["payments"]
}

variable "kubernetes_host" {
  description = "API server that reviews the pods' tokens for Vault."
  type        = string
  default     = "https://kubernetes.default.svc"
}

variable "istio_version" {
  description = "Version of the charts istio/base and istio/istiod."
  type        = string
  default     = "1.27.1"
}

variable "temporal_chart_version" {
  description = "Version of Temporal's own chart."
  type        = string
  default     = "1.6.0"
}

variable "worker_controller_version" {
  description = "Version of the chart of Temporal's Worker Controller."
  type        = string
  default     = "0.26.0"
}

variable "ui_callback" {
  description = "Where the identity provider sends people back to."
  type        = string
  default     = "https://temporal.internal/auth/sso/callback"
}
