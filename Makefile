# Two commands are all the set-up there is: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

K8S_VERSION  := v1.36.3
VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
SANDBOX_LD   := -s -w \
  -X k8s.io/component-base/version.gitVersion=$(K8S_VERSION) \
  -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36
GENERATE     := go tool -modfile=$(CURDIR)/tools/controller-gen.mod controller-gen
LINT         := go tool -modfile=$(CURDIR)/tools/golangci-lint.mod golangci-lint
BIN          := $(CURDIR)/bin
DEMO_FLAGS   ?=
ESTATES      ?= ../shared/estates
SEEDS        ?= 10

export CGO_ENABLED ?= 0

.PHONY: help build demo test test-peers bench generate check-generated lint clean

help: ## Say what the targets do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/crossfade, bin/sandbox and bin/estate
	@mkdir -p $(BIN)
	@echo "building bin/crossfade and bin/estate" >&2
	@go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/crossfade ./cmd/crossfade
	@go build -trimpath -ldflags "-s -w" -o $(BIN)/estate ./examples/estate/cmd/estate
	@echo "building bin/sandbox (the first time takes some minutes: it contains Kubernetes $(K8S_VERSION))" >&2
	@cd sandbox && go build -trimpath -ldflags "$(SANDBOX_LD)" -o $(BIN)/sandbox . & pid=$$!; \
	  start=$$SECONDS; while kill -0 $$pid 2>/dev/null; do sleep 1; s=$$((SECONDS-start)); \
	  if [ $$s -gt 0 ] && [ $$((s % 20)) -eq 0 ]; then echo "  still building bin/sandbox, $$s s" >&2; fi; done; wait $$pid

demo: build ## Move a live estate between two clusters, and count what its users noticed
	@$(BIN)/crossfade demo $(DEMO_FLAGS)

test: build check-generated ## Run every test that needs neither root nor other packages
	@CROSSFADE_SANDBOX=$(BIN)/sandbox CROSSFADE_ESTATE=$(BIN)/estate CROSSFADE_BINARY=$(BIN)/crossfade \
	  go test -timeout 14m ./...
	@cd sandbox && CROSSFADE_SANDBOX=$(BIN)/sandbox go test -timeout 14m ./...
	@CROSSFADE_DEMO=$(BIN)/crossfade go test -timeout 14m -run TestAnEstateMovesUnnoticed ./internal/demo

test-peers: build ## Look for races, compare with peers and real packets, and move an estate as nobody (needs root)
	@[ "$$(id -u)" = 0 ] || { echo "make test-peers needs root: core networks are compared with packets in network namespaces, so nothing was compared" >&2; exit 1; }
	@command -v gcc >/dev/null && command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq gcc libc6-dev npm; }
	@CROSSFADE_PACKETS=300 go test -count=1 -timeout 5m -v -run '^TestPacketsAgree$$' ./internal/landing/wan
	@CGO_ENABLED=1 go test -race -timeout 14m -run 'Overlaps|Walk' ./internal/landing/ipam ./internal/landing/bench
	@mkdir -p $(BIN)/peers && cd tools/ipam-peer && go build -o $(BIN)/peers/ipam-peer .
	@CROSSFADE_IPAM_PEER=$(BIN)/peers/ipam-peer go test -count=1 -timeout 14m -run TestAddresses ./internal/landing/bench
	@go build -modfile=$(CURDIR)/tools/helm.mod -o $(BIN)/peers/helm helm.sh/helm/v4/cmd/helm
	@CROSSFADE_SANDBOX=$(BIN)/sandbox CROSSFADE_HELM=$(BIN)/peers/helm go test -count=1 -timeout 14m -run TestHelm ./internal/mirror
	@CROSSFADE_PEERS=$(BIN)/peers go test -count=1 -timeout 14m -run 'TestPeerAgrees|TestSettledDifferences' ./internal/landing/policy
	@CROSSFADE_ORDINARY=$(BIN)/crossfade go test -count=1 -timeout 14m -run TestNobodyMovesAnEstate ./internal/demo

bench: build ## Measure, and print `name value unit` lines (BENCH=demo|mirror|plan|landing for a part)
	@mkdir -p out && $(BIN)/crossfade bench --out out/bench.json --seeds $(SEEDS) --estates "$(ESTATES)" $(BENCH)

generate: ## Generate deep copies, CRDs and RBAC
	@$(GENERATE) object paths=./api/...
	@$(GENERATE) crd paths=./api/v1alpha1 output:crd:dir=config/crd
	@$(GENERATE) rbac:roleName=crossfade-hub paths=./internal/app/... output:rbac:dir=config/rbac

check-generated: ## Refuse generated files that are not fresh
	@scratch=$$(mktemp -d); cp -r api config $$scratch/; $(MAKE) -s generate; \
	  if ! diff -r $$scratch/api api >/dev/null || ! diff -r $$scratch/config config >/dev/null; then \
	    echo "generated files were not fresh: commit what 'make generate' wrote" >&2; rm -rf $$scratch; exit 1; fi; rm -rf $$scratch

lint: ## Lint both modules
	@$(LINT) run ./...
	@cd sandbox && $(LINT) run --config $(CURDIR)/.golangci.yml ./...

clean: ## Remove what was built
	rm -rf $(BIN) out
