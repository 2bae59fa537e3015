# Everything is built into bin/ and nothing outside of it but .cache/ is written.
GO      ?= go
BIN     := bin
PROGRAMS := $(BIN)/sluice $(BIN)/demo $(BIN)/devcluster
OPENAPI := .cache/openapi
LINT    := .ci/lint

.PHONY: help build demo test race lint fmt generate fresh bench openapi check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(PROGRAMS) ## build sluice, the demo and the local Kubernetes

.PHONY: $(PROGRAMS)
$(BIN)/sluice $(BIN)/demo:
	$(GO) build -o $@ ./cmd/$(@F)
$(BIN)/devcluster:
	cd cmd/devcluster && $(GO) build -o ../../$@ .

demo: build ## play the whole story against a local Kubernetes and forge
	$(BIN)/demo

test: build ## run every test, against a real API server
	$(BIN)/devcluster run -- $(GO) test ./...
	cd cmd/devcluster && $(GO) test ./...

race: ## run the tests that need no cluster under the race detector
	$(GO) test -race -shuffle=on ./...

bench: build ## measure, against a real API server
	$(BIN)/devcluster run -- $(GO) test -run '^$$' -bench . -benchtime 1x ./...

lint: ## format, vet and check the import rules
	@test -z "$$(gofmt -l cmd gitsource analysis schemas reconciler examples | tee /dev/stderr)"
	$(GO) vet ./...
	cd cmd/devcluster && $(GO) vet ./...

fmt: ## format all Go files
	gofmt -w cmd gitsource analysis schemas reconciler examples

generate: ## make generated files anew
	$(GO) generate ./...

fresh: generate ## fail when generated files are not committed
	git diff --exit-code -- '*.schema.json'

openapi: ## fetch GitHub's own API description for the tests
	npm install --no-audit --no-fund --prefix $(OPENAPI) @octokit/openapi@19

check: lint fresh test ## all that has to pass before a merge

clean: ## remove what was built
	rm -rf $(BIN) .cache
