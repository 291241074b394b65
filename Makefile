.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# npm writes this file at the end of an installation, so its age is the installation's.
node_modules/.package-lock.json: package-lock.json
	npm ci
	@touch $@

.PHONY: install
install: node_modules/.package-lock.json ## Install what package-lock.json names, when it changed

.PHONY: redis
redis: ## See that redis-server is there; install it where that is possible
	@scripts/ensure-redis.sh

.PHONY: demo
demo: install redis ## Run the tutorial's bank and take a snapshot of it
	npm run --silent demo

.PHONY: test
test: install redis ## Check everything, then run every test
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
bench: install redis ## Measure; writes the numbers it finds
	npm run bench

.PHONY: soak
soak: install redis ## Run the whole system under faults for a long time
	npm run soak

.PHONY: build
build: install ## Compile to dist/
	npm run build

.PHONY: docs-config
docs-config: install ## Write the configuration reference from the programs' own tables
	npm run docs:config

.PHONY: clean
clean: ## Remove what was compiled; node_modules stays
	find . -name node_modules -prune -o -type d -name dist -exec rm -rf {} +
