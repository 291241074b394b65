.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# npm writes this file at the end of an installation, so its age is the installation's.
node_modules/.package-lock.json: package-lock.json
	npm ci --loglevel=error
	@touch $@

.PHONY: install
install: node_modules/.package-lock.json ## Install what package-lock.json names, when it changed

.PHONY: redis
redis: ## See that redis-server is there; install it where that is possible
	@scripts/ensure-redis.sh

.PHONY: grpcio
grpcio: ## See that grpc-core for Python is there; install it where that is possible
	@scripts/ensure-grpcio.sh

.PHONY: proxies
proxies: ## See that haproxy, nginx and h2load are there; install them where that is possible
	@scripts/ensure-proxies.sh

.PHONY: nftables
nftables: ## See that nft and iptables are there; install them where that is possible
	@scripts/ensure-nftables.sh

.PHONY: bench-proxy
bench-proxy: install proxies ## Measure a pair of agents beside pairs of haproxy and nginx, and write one block of docs/performance.md
	npm run --silent bench:proxy -- --save

.PHONY: kubectl
kubectl: ## See that kubectl is there; install it where that is possible
	@scripts/ensure-kubectl.sh

.PHONY: helm
helm: ## See that helm is there; fetch it where that is possible
	@scripts/ensure-helm.sh

.PHONY: kube-apiserver
kube-apiserver: ## Build a Kubernetes API server for tests, when it is not in ~/.cache/cutline-kube (minutes, once)
	@if [ -z "$$KUBECONFIG" ]; then scripts/kube-apiserver/build >/dev/null; fi

.PHONY: test-kubernetes
test-kubernetes: install kubectl helm kube-apiserver ## Run the tests against a Kubernetes API (KUBECONFIG=... uses that cluster)
	npm run --silent test:kubernetes

.PHONY: kube-cluster
kube-cluster: ## Build what scripts/kube-cluster/up needs for a Kubernetes cluster of one node (minutes, once)
	@scripts/kube-cluster/build >/dev/null

.PHONY: e2e-kubernetes
e2e-kubernetes: install kubectl ## Install the chart and the bank on the cluster in KUBECONFIG, and see that all of it works
	@HELM="$$(scripts/ensure-helm.sh)" npm run --silent test:e2e-kubernetes

.PHONY: chaos
chaos: install redis ## Break links at random under load and snapshots, and write docs/reference/chaos.md
	npm run --silent chaos -- --save

.PHONY: interop
interop: install grpcio ## Run gRPC's interop cases through agents and write docs/reference/interop.md
	npm run --silent interop -- --save

.PHONY: demo
demo: install ## Run the tutorial's bank and take snapshots of it (REDIS_URL=redis://... uses that Redis)
	@REDIS_URL='$(REDIS_URL)' npm run --silent demo

.PHONY: test
test: install redis grpcio proxies nftables kubectl helm kube-apiserver ## Check everything, then run every test
	npm test

.PHONY: check
check: install ## Lint, types, unused code, drift of generated code
	npm run check

.PHONY: format
format: install ## Format and fix what can be fixed
	npm run format

.PHONY: generate
generate: install ## Generate the TypeScript of proto/ anew
	npm run generate

.PHONY: bench
bench: install ## Measure direct calls and a pair of agents side by side
	npm run bench

.PHONY: soak
soak: install ## Take many snapshots of the bank under full load (SNAPSHOTS=1000)
	npm run soak -- --snapshots $(or $(SNAPSHOTS),1000)

.PHONY: sim
sim: install ## Run simulated schedules on all cores (SEEDS=10000)
	npm run sim -- --seeds $(or $(SEEDS),10000)

.PHONY: fuzz
fuzz: install ## Give hostile input to everything that takes bytes from others (EXECUTIONS=1000000)
	npm run --silent fuzz -- --executions $(or $(EXECUTIONS),1000000)

.PHONY: mutants
mutants: install ## Break the protocol on purpose, and see that the simulator notices
	npm run mutants

.PHONY: model
model: ## Check the models of the cut and of the link's resume with spin, every order of events (3 minutes)
	@scripts/model.sh

.PHONY: docs-metrics
docs-metrics: install ## Write the reference of metrics of agents and coordinators
	npm run docs:metrics

.PHONY: soak-agent
soak-agent: install ## See that an agent's memory and descriptors stay flat (MINUTES=5)
	npm run --silent soak:agent -- --minutes $(or $(MINUTES),5)

.PHONY: image
image: ## Build the image with docker, podman or buildah (IMAGE=cutline:VERSION BASE=NAME@sha256:DIGEST SAVE=FILE)
	@scripts/image.sh

.PHONY: check-image
check-image: ## See that the image runs as it must: user, read-only root, health, nothing of development (IMAGE=...)
	@scripts/check-image.sh

.PHONY: docs-chart
docs-chart: install ## Write the chart's table of values from values.yaml
	npm run docs:chart

.PHONY: build
build: install ## Compile to dist/
	npm run build

.PHONY: docs-config
docs-config: install ## Write the configuration reference from the programs' own tables
	npm run docs:config

.PHONY: clean
clean: ## Remove what was compiled; node_modules stays
	find . -name node_modules -prune -o -type d -name dist -exec rm -rf {} +
