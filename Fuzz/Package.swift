// swift-tools-version: 6.2
//
// Package.swift
//
// The fuzzers: the modules that take bytes from outside, built for libFuzzer and the address sanitizer.
// A package of its own, because instrumented modules cannot serve anything else and the sources
// must not wait for HTTP. `Sources` and `Tests` are links to the real ones; `make fuzz` builds and runs it.

import PackageDescription

// Testing, because the store's formats are not open to other modules.
let instrumented: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library", "-enable-testing"]),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: instrumented)
}

let package = Package(
  // The name of the main package: only within it are its modules' interfaces open.
  name: "walrus",
  dependencies: [.package(url: "https://github.com/apple/swift-crypto", from: "4.5.2")],
  targets: [
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O2", "-fsanitize=address"])]),
    module("ReedSolomon", ["CKernels"]),
    module("RedStuff", ["CKernels", "ReedSolomon"]),
    module("Cluster", ["RedStuff", .product(name: "Crypto", package: "swift-crypto")]),
    module("World", ["Cluster", "RedStuff"]),
    module("Routing", ["RedStuff", "Cluster", "World"]),
    module("Repair", ["RedStuff", "Cluster", "World", "Routing"]),
    module("SliverStore", ["CKernels", "RedStuff", "Cluster", "World"]),
    module("Simulator", ["RedStuff", "Cluster", "World"]),
    .target(
      name: "FuzzTargets",
      dependencies: ["RedStuff", "Cluster", "World", "SliverStore", "Repair", "Simulator"],
      path: "Tests/FuzzTargets", swiftSettings: instrumented),
    .executableTarget(
      name: "fuzz", dependencies: ["FuzzTargets"], path: "Driver", swiftSettings: instrumented,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
  ]
)
