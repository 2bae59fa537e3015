GO      ?= go
BIN     := bin
PROGRAMS := $(BIN)/sluice $(BIN)/demo $(BIN)/devcluster
OPENAPI := .cache/openapi/api.github.com.json

.PHONY: help build demo test race lint fmt generate fresh bench openapi check clean $(PROGRAMS)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(PROGRAMS) ## build sluice, the demo and the local Kubernetes

$(BIN)/sluice $(BIN)/demo:
	$(GO) build -o $@ ./cmd/$(@F)
$(BIN)/devcluster:
	cd cmd/devcluster && $(GO) build -o ../../$@ .

demo: build ## play the whole story against a local Kubernetes and forge
	$(BIN)/demo

test: build $(BIN)/gitea ## run every test, against a real API server and a real forge
	$(BIN)/devcluster run -- $(GO) test ./...
	cd cmd/devcluster && $(GO) test ./...

race: ## run the tests that need no cluster under the race detector
	$(GO) test -race -shuffle=on ./...

bench: build ## measure, against a real API server
	$(BIN)/devcluster run -- $(GO) test -run '^$$' -bench . -benchtime 1x ./...

$(BIN)/%: .ci/%/go.mod .ci/%/go.sum
	cd .ci/$* && $(GO) build -tags "sqlite sqlite_unlock_notify" -o ../../$@ tool

lint fmt: export GOLANGCI_LINT_CACHE = $(CURDIR)/.cache/golangci-lint
lint: $(BIN)/golangci-lint ## check format, code and import rules
	$< run --allow-parallel-runners ./...
	cd cmd/devcluster && ../../$< run --allow-parallel-runners --config ../../.golangci.yml ./...

fmt: $(BIN)/golangci-lint ## format all Go files
	$< fmt ./...
	cd cmd/devcluster && ../../$< fmt --config ../../.golangci.yml ./...

generate: ## make generated files anew
	$(GO) generate ./...

fresh: generate ## fail when generated files are not committed
	git diff --exit-code -- '*.schema.json'

openapi: $(OPENAPI) ## fetch GitHub's own API description for the tests
$(OPENAPI):
	mkdir -p $(@D)
	cd $(@D) && tar xzf "$$(npm pack --silent @octokit/openapi@23.0.2)" --strip-components=2 package/generated/$(@F)
	rm $(@D)/*.tgz && touch $@

check: lint fresh test ## all that has to pass before a merge

clean: ## remove what was built
	rm -rf $(BIN) .cache
