# shellcheck shell=bash
# What hack/kind and hack/minikube share; they source it.

program=hack/$(basename "$0")
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=$(sed -n 's/^appVersion: "\(.*\)"$/\1/p' "$repository/charts/openaisle/Chart.yaml")

fail() {
  echo "$program: $1" >&2
  exit 1
}

say() {
  echo "$program: $1" >&2
}

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || fail "needs $tool on PATH; see docs/kubernetes.md for where to get it"
  done
}

# Sets these from the command line.
# shellcheck disable=SC2034 # the scripts read them
read_arguments() {
  command=${1:-}
  name=openaisle
  gpus=''
  port=8080
  helm_flags=()
  [ $# -eq 0 ] || shift
  while [ $# -gt 0 ]; do
    case $1 in
    --gpus) gpus=yes ;;
    --name | --port)
      [ $# -ge 2 ] || fail "$1 needs a value"
      if [ "$1" = --name ]; then name=$2; else port=$2; fi
      shift
      ;;
    --)
      shift
      helm_flags=("$@")
      break
      ;;
    *) fail "unknown option $1; the options are --gpus, --name NAME, --port PORT and -- HELM OPTIONS" ;;
    esac
    shift
  done
  [[ $port =~ ^[0-9]+$ ]] || fail "--port is \"$port\", which is no number"
}

# Sets `engine` to docker where its engine answers, else to podman.
find_engine() {
  for engine in docker podman; do
    if "$engine" info >/dev/null 2>&1; then return; fi
  done
  fail "needs docker or podman, with its engine running"
}

# Names of the images to load; on GPUs the model server is the variant with CUDA.
image_names() {
  echo "openaisle/opt:$version${gpus:+-cu126}" "openaisle/adapter:$version" "openaisle/demo:$version"
}

build_missing_images() {
  local image part
  for image in $(image_names); do
    part=${image#*/}
    part=${part%%:*}
    if "$engine" image inspect "$image" >/dev/null 2>&1; then continue; fi
    say "building $image"
    if [ "$part" = opt ] && [ -n "$gpus" ]; then
      VARIANT=cu126 BUILDER=$engine "$repository/hack/build-images" opt
    else
      BUILDER=$engine "$repository/hack/build-images" "$part"
    fi
  done
}

# Installs the chart in the namespace openaisle of the context $1 and waits until its pods are ready.
install_chart() {
  local context=$1
  # The generic family: any NVIDIA GPU, whatever its label.
  [ -z "$gpus" ] || helm_flags=(--set "modelDefaults.gpuFamily=nvidia" "${helm_flags[@]}")
  helm upgrade --install openaisle "$repository/charts/openaisle" --kube-context "$context" \
    --namespace openaisle --create-namespace --wait --timeout 10m "${helm_flags[@]}"
}

# Shows the lines that ask the installed release for a completion through the Ingress at $2.
print_usage() {
  local context=$1 url=$2
  cat <<TEXT

The page is at $url/ and the API below $url/v1:

  KEY=\$(kubectl --context $context -n openaisle get secret openaisle-keys -o jsonpath='{.data.default}' | base64 -d)
  curl -N $url/v1/completions -H "Authorization: Bearer \$KEY" -H "Content-Type: application/json" \\
    -d '{"model": "openaisle/tiny-opt", "prompt": "Once upon a time", "max_tokens": 40, "stream": true}'
TEXT
}
