# camrelay. "make help" lists the targets.

GO      ?= go
VERSION ?= $(shell git describe --tags --dirty 2>/dev/null || echo 0.0.0-dev)
FUZZTIME ?= 10s
BENCHTIME ?= 1s

# Tools run at these versions and are not in go.mod.
GOFUMPT     := $(GO) run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI    := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE    := $(GO) run golang.org/x/tools/cmd/deadcode@v0.52.0

LDFLAGS := -s -w -X main.version=$(VERSION)
PLAYER  := daemon/web/assets/hls.light.min.js

# What C calls, deadcode does not see.
CALLED_FROM_C := unreachable func: camrelaySRTCalled$$

# silent runs a command that must succeed and print nothing.
silent = out=$$($(1)) && test -z "$$out" || { echo "$$out"; exit 1; }

export CGO_ENABLED := 1

.DEFAULT_GOAL := help
.PHONY: help run build test deps deps-test race fuzz bench lint arm64 deb deb-amd64 deb-arm64 package-test boot-test arm64-test repro-test clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: build ## build, then run a demo with two synthetic cameras
	exec build/camrelay demo

build: deps $(PLAYER) ## build build/camrelay; installs what is missing
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/camrelay ./cmd/camrelay

test: deps-test $(PLAYER) lint race ## all checks and tests; installs the programs they play against

deps:
	@packaging/install-deps.sh build

deps-test:
	@packaging/install-deps.sh test

$(PLAYER): packaging/fetch-hlsjs.sh | deps
	packaging/fetch-hlsjs.sh

lint: deps ## formatting, vet, staticcheck, golangci-lint, dead code, outdated idioms
	@echo gofumpt -l; $(call silent,$(GOFUMPT) -l .)
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GOLANGCI) run ./...
	@echo deadcode -test; $(call silent,{ $(DEADCODE) -test ./... || echo failed; } | sed '/$(CALLED_FROM_C)/d')
	@echo go fix -diff; $(call silent,$(GO) fix -diff ./...)

race: deps ## all tests with the race detector, in random order; those of the whole daemon alone
	@rc=0; rooms=$$($(GO) list ./... | grep -v /cmd/); \
	$(GO) test -race -shuffle=on -p 3 -timeout 25m $$rooms || rc=1; \
	$(GO) test -race -shuffle=on -parallel 3 -timeout 25m ./cmd/... || rc=1; \
	exit $$rc

fuzz: deps ## each fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

bench: build deps-test ## Go benchmarks, then the whole process beside ffmpeg
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...
	$(GO) run ./bench/compare -camrelay build/camrelay

arm64: $(PLAYER) ## cross-build build/camrelay-arm64, which needs only glibc
	@packaging/install-deps.sh arm64
	packaging/crossbuild.sh arm64 '$(VERSION)' build/camrelay-arm64

deb: deb-amd64 deb-arm64 ## build/camrelay_VERSION_ARCH.deb for amd64 and arm64, which need only glibc and systemd

deb-amd64 deb-arm64: deb-%: $(PLAYER)
	@packaging/install-deps.sh deb
	packaging/mkdeb.sh $* '$(VERSION)'

package-test: $(PLAYER) ## install, boot, upgrade and purge the package in a container without a network; as root
	@packaging/install-deps.sh package-test
	packaging/test/run.sh '$(VERSION)'

boot-test: $(PLAYER) ## boot a bare Debian for arm64 in an emulator and try the package in it; as root, a quarter of an hour
	@packaging/install-deps.sh boot-test
	packaging/test/boot.sh '$(VERSION)'

arm64-test: $(PLAYER) ## try the package for arm64 and its self test in bare Debians 12 and 13, emulated by program; as root
	@packaging/install-deps.sh arm64-test
	packaging/test/arm64.sh '$(VERSION)'

repro-test: $(PLAYER) ## build the package for arm64 twice, in other places and with empty caches, and compare the bytes
	@packaging/install-deps.sh deb
	packaging/test/repro.sh arm64 '$(VERSION)'

clean: ## remove what was built and fetched
	rm -rf build $(PLAYER) daemon/web/assets/hls.light.LICENSE.txt
