#!/usr/bin/env bash
# The baseline of the first two rows: the runbook people type today, corrected, one step after the other.
# As in the runbook: RSA-4096 certificates, the gateway as an install of its own, NodePorts read back and put into ConfigMap
# istio, remote secrets, helloworld v1, v2, ..., curl until every version answered from every cluster.
# Arguments: clusters, kubeconfig (contexts cluster1, cluster2, ...), istio version, overlay file. Works in the current folder.
set -euo pipefail
count=$1 kubeconfig=$2 version=$3 overlay=$4
hub=docker.io/istio
names=() && for i in $(seq "$count"); do names+=("cluster$i"); done
k() { kubectl --kubeconfig "$kubeconfig" --context "$@"; }

mkdir -p certs
openssl req -x509 -new -newkey rsa:4096 -nodes -keyout certs/root-key.pem -out certs/root-cert.pem -days 3650 \
  -subj '/O=Istio/CN=Root CA' -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
for c in "${names[@]}"; do
  mkdir -p "certs/$c"
  openssl req -new -newkey rsa:4096 -nodes -keyout "certs/$c/ca-key.pem" -out "certs/$c/ca.csr" \
    -subj "/O=Istio/L=$c/CN=Intermediate CA" 2>/dev/null
  openssl x509 -req -days 730 -in "certs/$c/ca.csr" -CA certs/root-cert.pem -CAkey certs/root-key.pem -CAcreateserial \
    -out "certs/$c/ca-cert.pem" -extfile /dev/stdin 2>/dev/null \
    <<<$'basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,keyCertSign'
  cat "certs/$c/ca-cert.pem" certs/root-cert.pem >"certs/$c/cert-chain.pem"
  k "$c" create namespace istio-system
  k "$c" create secret generic cacerts -n istio-system --from-file="certs/$c/ca-cert.pem" --from-file="certs/$c/ca-key.pem" \
    --from-file=certs/root-cert.pem --from-file="certs/$c/cert-chain.pem"
done

for i in $(seq "$count"); do
  c=cluster$i
  k "$c" label namespace istio-system "topology.istio.io/network=network$i"
  istioctl install --kubeconfig "$kubeconfig" --context "$c" -y -f "$overlay" -f - <<YAML
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: control-plane}
spec:
  profile: minimal
  hub: $hub
  tag: "$version"
  meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}}}
  values: {global: {meshID: mesh1, network: network$i, multiCluster: {clusterName: $c}, imagePullPolicy: IfNotPresent}}
YAML
  istioctl install --kubeconfig "$kubeconfig" --context "$c" -y -f "$overlay" -f - <<YAML
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: eastwest}
spec:
  profile: empty
  hub: $hub
  tag: "$version"
  components:
    ingressGateways:
    - name: istio-eastwestgateway
      enabled: true
      label: {istio: eastwestgateway, app: istio-eastwestgateway}
      k8s:
        env: [{name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: network$i}]
        service: {type: NodePort, ports: [{name: status-port, port: 15021, targetPort: 15021}, {name: tls, port: 15443, targetPort: 15443}]}
  values:
    gateways: {istio-ingressgateway: {injectionTemplate: gateway}}
    global: {network: network$i, imagePullPolicy: IfNotPresent}
YAML
  k "$c" apply -n istio-system -f - <<'YAML'
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network-gateway}
spec:
  selector: {istio: eastwestgateway}
  servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]}]
YAML
done

networks='networks:'
for i in $(seq "$count"); do
  address=$(k "cluster$i" get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
  port=$(k "cluster$i" get svc istio-eastwestgateway -n istio-system -o jsonpath='{.spec.ports[?(@.port==15443)].nodePort}')
  networks+=$'\n'"  network$i: {endpoints: [{fromRegistry: cluster$i}], gateways: [{address: $address, port: $port}]}"
done
for c in "${names[@]}"; do
  k "$c" patch configmap istio -n istio-system --type merge --patch-file /dev/stdin \
    <<<"$(printf 'data:\n  meshNetworks: |\n%s' "$(sed 's/^/    /' <<<"$networks")")"
done

for from in "${names[@]}"; do
  for to in "${names[@]}"; do
    [ "$from" = "$to" ] && continue
    server=$(kubectl --kubeconfig "$kubeconfig" config view --raw -o jsonpath="{.clusters[?(@.name=='$from')].cluster.server}")
    istioctl create-remote-secret --kubeconfig "$kubeconfig" --context "$from" -n istio-system --name="$from" \
      ${server:+--server="$server"} | k "$to" apply -f -
  done
done

for i in $(seq "$count"); do
  c=cluster$i
  k "$c" create namespace sample
  k "$c" label namespace sample istio-injection=enabled
  k "$c" apply -n sample -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: helloworld, labels: {app: helloworld}}
spec: {ports: [{name: http, port: 5000}], selector: {app: helloworld}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: helloworld-v$i}
spec:
  selector: {matchLabels: {app: helloworld, version: v$i}}
  template:
    metadata: {labels: {app: helloworld, version: v$i}}
    spec:
      containers:
      - {name: helloworld, image: $hub/examples-helloworld-v1:1.0, imagePullPolicy: IfNotPresent, env: [{name: SERVICE_VERSION, value: v$i}], ports: [{containerPort: 5000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl}
spec:
  selector: {matchLabels: {app: curl}}
  template:
    metadata: {labels: {app: curl}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: curl, image: "docker.io/curlimages/curl:8.16.0", imagePullPolicy: IfNotPresent, command: [/bin/sleep, infinity]}
YAML
  k "$c" -n sample rollout status deployment/helloworld-v"$i" --timeout=180s
  k "$c" -n sample rollout status deployment/curl --timeout=180s
done

for c in "${names[@]}"; do
  heard=
  for _ in $(seq 120); do
    heard+=$(k "$c" -n sample exec deploy/curl -c curl -- curl -sS --max-time 5 http://helloworld.sample:5000/hello || true)
    missing=
    for i in $(seq "$count"); do [[ $heard == *"version: v$i,"* ]] || missing=v$i; done
    [ -z "$missing" ] && break
    sleep 0.5
  done
  [ -z "$missing" ] || { echo "$c does not hear $missing" >&2; exit 1; }
done
