-- Health of a Rollout for Argo CD (argocd-cm: resource.customizations.health.argoproj.io_Rollout): what its release says.
-- A release that waits for an operator is Suspended, one that went back is Degraded, and what no controller has looked at yet is on
-- its way.
local health = { status = "Progressing", message = "Tidegate has not looked at this spec yet" }
local status = obj.status
if status == nil or status.phase == nil then
  return health
end
if tostring(status.observedGeneration or "") ~= tostring(obj.metadata.generation or "") then
  return health
end
local known = { Healthy = "Healthy", Progressing = "Progressing", Paused = "Suspended", Degraded = "Degraded" }
health.status = known[status.phase] or "Unknown"
health.message = status.message or ""
return health
