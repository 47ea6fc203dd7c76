# One release build with testing enabled serves everything here: tests, demo, benchmarks.

SWIFT_BUILD_FLAGS := -c release -Xswiftc -enable-testing
WALRUS := .build/release/walrus
SIMULATE := .build/release/walrus-simulate
SEEDS := 1000

.PHONY: demo test simulate mutants fuzz up bench format lint build setup clean

demo: build  ## Store a real file, lose nodes, read it back; ends by itself.
	@Scripts/demo $(WALRUS)

test: lint build-tests  ## Layout, import rules, and all tests.
	@Scripts/test $(SWIFT_BUILD_FLAGS) --skip-build --disable-xctest

fuzz: setup  ## Each decoder of outside bytes for FUZZ_SECONDS (20); its own build, some minutes.
	@Scripts/fuzz

simulate: build-simulate  ## SEEDS (1000) simulated clusters, five minutes of trouble each.
	@$(SIMULATE) run --seeds $(SEEDS)
	@$(SIMULATE) crash-points

mutants: setup  ## Each planted bug until a check catches it; its own build, some minutes.
	@Scripts/mutants

up: build  ## A local cluster on ./walrus-data and 127.0.0.1:31415.
	@$(WALRUS) up

bench: build  ## Codec, gateway and repair benchmarks.
	@$(WALRUS) bench codec
	@$(WALRUS) bench blob-id
	@$(WALRUS) bench load
	@$(WALRUS) bench load --sockets
	@$(WALRUS) bench repair

format:  ## Lay the sources out.
	@swift format --in-place --recursive --parallel Sources Benchmarks Tests Fuzz/Driver Fuzz/Package.swift Package.swift

lint: setup
	@swift format lint --strict --recursive --parallel Sources Benchmarks Tests Fuzz/Driver Fuzz/Package.swift Package.swift
	@Scripts/check-imports

build: setup
	@Scripts/build $(SWIFT_BUILD_FLAGS) --product walrus

build-simulate: setup
	@Scripts/build $(SWIFT_BUILD_FLAGS) --product walrus-simulate

build-tests: setup
	@Scripts/build $(SWIFT_BUILD_FLAGS) --build-tests

setup:
	@Scripts/setup

clean:
	@rm -rf .build .build-debug .build-fuzz .build-mutants
