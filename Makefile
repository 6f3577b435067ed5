# Each target sets up what it needs. A machine with Node 20 or newer and npm can run demo, playground, check, test, generate and
# bench; e2e and image also need Go, root and some Debian packages, and say which are missing.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help demo playground test e2e e2e-full check generate bench image setup

help: ## Show this page
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup:
	@scripts/setup

demo: setup ## Show the main job, end to end, on a playground
	@scripts/demo

playground: setup ## Run Kubernetes as far as the operator needs it, and the operator, until Ctrl-C
	@bin/stevedore playground

test: setup ## Unit, model and integration tests (Node and npm suffice)
	@scripts/run-tests 'test/unit/**/*.test.ts' 'test/model/**/*.test.ts' 'test/integration/**/*.test.ts'

e2e: setup ## The real things: Kubernetes, containerd, docker distribution, the OCI conformance program
	@scripts/e2e

e2e-full: setup ## e2e, and what is too long for every change
	@scripts/e2e --full

check: setup ## Types, lint, format, dead code, generated files
	tsc --noEmit
	oxlint --type-aware --deny-warnings
	prettier --check --log-level warn .
	knip --no-progress
	node scripts/generate.ts --check

generate: setup ## Write the generated files: CRDs, chart parts, reference pages
	node scripts/generate.ts

bench: setup ## Measure beside docker's registry and write docs/benchmarks.md
	node bench/run.ts

image: setup ## Build the container image
	@scripts/image
