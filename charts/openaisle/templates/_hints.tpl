{{- /*
Keys that people write when they mean another one. values.schema.json lets these through (and no other
unknown key), so that openaisle.checkValues can say what to write.
*/ -}}

{{- define "openaisle.hints.root" -}}
model: models
modles: models
modelSpec: models
defaults: modelDefaults
gpu: modelDefaults.gpuFamily and modelDefaults.gpus
gpus: modelDefaults.gpus
gpuFamily: modelDefaults.gpuFamily
gpuProfiles: gpuFamilies
resourceProfiles: gpuFamilies
replicas: modelDefaults.replicas or adapter.replicas
replicaCount: modelDefaults.replicas or adapter.replicas
resources: modelDefaults.resources
nodeSelector: modelDefaults.nodeSelector
tolerations: modelDefaults.tolerations
images: image
imagePullPolicy: image.pullPolicy
imagePullSecrets: image.pullSecrets
apiKey: auth.keys
apiKeys: auth.keys
keys: auth.keys
existingSecret: auth.existingSecret
hfToken: modelDefaults.weights.tokenSecret
persistence: modelDefaults.weights.cache
gateway: adapter or httpRoute
router: adapter
ui: demo
ingressClassName: ingress.className
tls: ingress.tls
networkPolicies: networkPolicy
pdb: podDisruptionBudget
labels: commonLabels
{{- end }}

{{- define "openaisle.hints.model" -}}
id: model
modelId: model
modelName: model
modelURL: model
hfModel: model
source: weights
url: model or weights
servedName: servedModelName
alias: servedModelName
size: parameters
gpu: gpus
gpuCount: gpus
requestGPU: gpus
tensorParallelSize: gpus
family: gpuFamily
gpuFamilies: gpuFamily
gpuType: gpuFamily
resourceProfile: gpuFamily
replicaCount: replicas
precision: dtype
context: contextLength
contextSize: contextLength
maxModelLen: contextLength
args: extraArgs
extraEnv: env
hfToken: weights.tokenSecret
token: weights.tokenSecret
persistence: weights.cache
storage: weights.cache
pvc: weights.claimName
volume: weights.claimName
revision: weights.revision
{{- end }}
