# Hayloft. `make help` lists what can be made.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

# Go would ask git for the version of a clone that another user may own; the version is passed by hand instead.
export GOFLAGS += -buildvcs=false
# .ci/setup puts Node there where the distribution's is too old.
export PATH := $(CURDIR)/.cache/node/node_modules/.bin:$(PATH)

CACHE := $(CURDIR)/.cache
TOOLS := $(CACHE)/bin
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
VERSION := $(shell git -c safe.directory='$(CURDIR)' describe --tags --always --dirty 2>/dev/null)
GO_FOLDERS := $(shell find . -name '*.go' -not -path '*/node_modules/*' -not -path './.*' -printf '%h\n' | sort -u)

##@ Use

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## the programs, in bin/
	@.ci/setup build
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(if $(VERSION),-X main.version=$(VERSION))' -o bin/ ./cmd/hayloft ./cmd/cas

PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: release
release: build ## hayloft for every platform, with checksums, in bin/downloads: what a manager hands out
	@mkdir -p bin/downloads
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/}; name=hayloft-$$os-$$arch; \
		if [ $$os = windows ]; then name=$$name.exe; fi; echo "bin/downloads/$$name"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '-s -w $(if $(VERSION),-X main.version=$(VERSION))' \
			-o bin/downloads/$$name ./cmd/hayloft; \
	done
	@cd bin/downloads && sha256sum hayloft-* > SHA256SUMS

.PHONY: demo
demo: ## a farm on this machine renders a small project (KEEP=1: leave it up; FAST=1: do not compare with Blender alone)
	@.ci/setup demo
	@$(MAKE) build
	@go build -o bin/demo ./cmd/demo
	@bin/demo $(if $(KEEP),-keep) $(if $(FAST),-fast)

##@ Check

.PHONY: test
test: ## everything that a change must pass, with its own set-up; what .ci/run calls
	@.ci/setup test
	@$(MAKE) check
	@$(MAKE) test-web
	@$(MAKE) test-go
	@echo "All passed: format, vet, staticcheck, page, and $$(go list ./... | wc -l) Go packages with the race detector."

.PHONY: check
check: $(TOOLS)/staticcheck
	@unformatted=$$(gofmt -l $(addsuffix /*.go,$(GO_FOLDERS))); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(TOOLS)/staticcheck ./...

# The browser's test starts a farm of its own, so it is one of the Go tests; the variable makes it count.
.PHONY: test-go
test-go:
	HAYLOFT_BROWSER=1 HAYLOFT_DISPLAY=1 HAYLOFT_NAMESPACES=$(shell unshare -rn true 2>/dev/null && echo 1) go test -race -shuffle=on -timeout=12m ./...
	go test -run='EveryStep|WhileOpening' ./cas/disk

# The built page and the shapes taken from the contract are in git; here they are made anew and must come out the same.
.PHONY: test-web
test-web: web/node_modules/.package-lock.json
	@rm -rf $(CACHE)/dist $(CACHE)/openapi.ts
	cd web && npm run --silent check
	cd web && npm test --silent
	cd web && npm run --silent build -- --outDir $(CACHE)/dist --emptyOutDir
	@diff -rq web/dist $(CACHE)/dist || { echo "web/dist is not what its sources give: run make web"; exit 1; }
	cd web && npx openapi-typescript ../api/openapi.yaml --output $(CACHE)/openapi.ts
	@diff -q web/src/generated/openapi.ts $(CACHE)/openapi.ts || { echo "web/src/generated is stale: run make generate"; exit 1; }

.PHONY: lint
lint: check $(GOLANGCI) ## format, vet (for Windows and macOS too), staticcheck and golangci-lint
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...
	$(GOLANGCI) run

.PHONY: chaos
chaos: ## kill -9 of manager, worker and Blender, 20 times while a job renders (SEED=n repeats a run)
	@.ci/setup demo
	@mkdir -p $(CACHE)
	HAYLOFT_CHAOS=1 HAYLOFT_CHAOS_SEED=$(SEED) go test -count=1 -timeout=60m -v -run '^TestChaos' ./cmd/hayloft | tee $(CACHE)/chaos.log
	@grep -q -e '^--- PASS: TestChaos' $(CACHE)/chaos.log || { echo "no chaos test ran"; exit 1; }

.PHONY: soak
soak: ## 500 simulated Flamenco workers at their own pace for two minutes
	HAYLOFT_SOAK=1 go test -count=1 -timeout=15m -v -run '^TestFiveHundredWorkers$$' ./cmd/hayloft

.PHONY: bench
bench: ## all measurements, with ratios to what the machine can do
	@.ci/setup demo
	go run ./bench

.PHONY: bench-quick
bench-quick: ## the same in small, in under three minutes
	@.ci/setup demo
	go run ./bench -quick

##@ Make again

.PHONY: generate
generate: web/node_modules/.package-lock.json ## code that is made from api/openapi.yaml
	go generate ./...
	cd web && npm run --silent generate

.PHONY: web
web: web/node_modules/.package-lock.json ## the built page, web/dist, from its sources
	cd web && npm run --silent build

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	@.ci/setup web
	cd web && npm ci --no-audit --no-fund
	@touch $@

$(TOOLS)/staticcheck: .ci/tools/go.mod .ci/tools/go.sum
	@mkdir -p $(TOOLS)
	go -C .ci/tools build -o $@ honnef.co/go/tools/cmd/staticcheck
	@touch $@

$(GOLANGCI):
	GOBIN=$(TOOLS) go install -trimpath github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/golangci-lint $@

.PHONY: clean
clean: ## remove what builds, tests and demonstrations left
	rm -rf bin .cache .demo web/node_modules web/test-results web/playwright-report
