#!/usr/bin/env bash
# Proves the lab without meshwizard: a multi-primary mesh over cluster1 and cluster2 by istioctl and kubectl alone,
# and helloworld v1 and v2 answering in both. If this fails, the lab is broken and not the wizard.
# Needs a fresh lab (`python -m tests.lab reset`). Prints the seconds that each part took.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
status=$("$python" -m tests.lab status)
value() { awk -v key="$1" '$1 == key { print $2 }' <<<"$status"; }
kubectl=$(value kubectl:) istioctl=$(value istioctl:) overlay=$(value overlay:)
version=$(awk 'NR == 1 { sub(",", "", $2); print $2 }' <<<"$status")
KUBECONFIG=$(sed -n 's/.*export KUBECONFIG=//p' <<<"$status")
export KUBECONFIG
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node() { "$kubectl" --context "$1" get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}'; }
k() { "$kubectl" "$@" >/dev/null; }

certificates() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/root-key.pem"
    openssl req -x509 -new -key "$work/root-key.pem" -subj "/O=Istio/CN=Root CA" -days 365 -out "$work/root-cert.pem" \
        -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign
    for c in cluster1 cluster2; do
        mkdir "$work/$c"
        openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$work/$c/ca-key.pem"
        openssl req -new -key "$work/$c/ca-key.pem" -subj "/O=Istio/CN=Intermediate CA/L=$c" -out "$work/$c/csr.pem"
        openssl x509 -req -in "$work/$c/csr.pem" -CA "$work/root-cert.pem" -CAkey "$work/root-key.pem" -CAcreateserial \
            -days 365 -out "$work/$c/ca-cert.pem" -extfile <(printf '%s\n' basicConstraints=critical,CA:true,pathlen:0 \
            keyUsage=critical,digitalSignature,keyCertSign,cRLSign "subjectAltName=DNS:istiod.istio-system.svc")
        cat "$work/$c/ca-cert.pem" "$work/root-cert.pem" >"$work/$c/cert-chain.pem"
    done
} 2>/dev/null

operator() { # cluster network
    cat <<YAML
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: $1}
spec:
  profile: default
  hub: docker.io/istio
  tag: "$version"
  components:
    ingressGateways:
    - {name: istio-ingressgateway, enabled: false}
    - name: istio-eastwestgateway
      enabled: true
      label: {istio: eastwestgateway, app: istio-eastwestgateway, topology.istio.io/network: $2}
      k8s:
        env:
        - {name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: $2}
        service:
          type: NodePort
          ports:
          - {name: status-port, port: 15021, targetPort: 15021}
          - {name: tls, port: 15443, targetPort: 15443, nodePort: 31443}
          - {name: tls-istiod, port: 15012, targetPort: 15012}
          - {name: tls-webhook, port: 15017, targetPort: 15017}
  values:
    gateways: {istio-ingressgateway: {injectionTemplate: gateway}}
    global:
      imagePullPolicy: IfNotPresent
      meshID: mesh1
      network: $2
      multiCluster: {clusterName: $1}
      meshNetworks:
        network1: {endpoints: [{fromRegistry: cluster1}], gateways: [{address: $address1, port: 31443}]}
        network2: {endpoints: [{fromRegistry: cluster2}], gateways: [{address: $address2, port: 31443}]}
YAML
}

install() { # cluster network
    local c=$1
    k --context "$c" create namespace istio-system
    k --context "$c" label namespace istio-system "topology.istio.io/network=$2"
    k --context "$c" -n istio-system create secret generic cacerts --from-file "$work/$c/ca-cert.pem" \
        --from-file "$work/$c/ca-key.pem" --from-file "$work/root-cert.pem" --from-file "$work/$c/cert-chain.pem"
    operator "$c" "$2" >"$work/$c.yaml"
    "$istioctl" install --context "$c" -f "$overlay" -f "$work/$c.yaml" -y >"$work/$c.log" 2>&1 || { cat "$work/$c.log"; return 1; }
    k --context "$c" apply -f - <<'YAML'
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network-gateway, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - {port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]}
YAML
}

sample() { # cluster version
    k --context "$1" create namespace sample
    k --context "$1" label namespace sample istio-injection=enabled
    k --context "$1" -n sample apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: helloworld, labels: {app: helloworld}}
spec: {ports: [{port: 5000, name: http}], selector: {app: helloworld}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: helloworld-$2}
spec:
  selector: {matchLabels: {app: helloworld, version: $2}}
  template:
    metadata: {labels: {app: helloworld, version: $2}}
    spec: {containers: [{name: helloworld, image: "docker.io/istio/examples-helloworld-$2:1.0", ports: [{containerPort: 5000}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl}
spec:
  selector: {matchLabels: {app: curl}}
  template:
    metadata: {labels: {app: curl}}
    spec: {containers: [{name: curl, image: "docker.io/curlimages/curl:8.16.0", command: [/bin/sleep, infinity]}]}
YAML
    k --context "$1" -n sample wait --for=condition=Available --timeout=120s deployment --all
}

both_answer() { # cluster
    local seen
    for _ in $(seq 40); do
        seen=$("$kubectl" --context "$1" -n sample exec deploy/curl -c curl -- sh -c \
            'for i in 1 2 3 4 5 6 7 8; do curl -sS -m 3 helloworld.sample:5000/hello; done' 2>&1 || true)
        if grep -q 'version: v1' <<<"$seen" && grep -q 'version: v2' <<<"$seen"; then
            echo "$1 hears $(grep -c v1, <<<"$seen") x v1 and $(grep -c v2, <<<"$seen") x v2"
            return
        fi
        sleep 0.5
    done
    echo "$1 hears only: $seen"
    return 1
}

together() { # function, then one argument list per cluster
    local f=$1 jobs=() job
    shift
    for arguments in "$@"; do
        # shellcheck disable=SC2086 # an argument list
        "$f" $arguments & jobs+=($!)
    done
    for job in "${jobs[@]}"; do wait "$job"; done
}

began=$SECONDS
lap() { echo "$1: $((SECONDS - began)) s since the start"; }
address1=$(node cluster1) address2=$(node cluster2)
certificates
together install "cluster1 network1" "cluster2 network2"
lap "Istio installed on both"
for pair in "cluster1 cluster2 $address1" "cluster2 cluster1 $address2"; do
    read -r from to address <<<"$pair"
    "$istioctl" create-remote-secret --context "$from" -n istio-system --name "$from" --server "https://$address:6443" |
        k --context "$to" apply -f -
done
lap "remote secrets exchanged"
together sample "cluster1 v1" "cluster2 v2"
lap "samples run"
together both_answer cluster1 cluster2
lap "verified"
