// swift-tools-version: 6.2
//
// Package.swift
//
// One target per step of a blob's way through the system; imports point only upwards in this list
// (Scripts/check-imports holds us to it). ARCHITECTURE.md gives the reason for each dependency.

import PackageDescription

// A build of its own whose bugs are chosen at run time, to see that the checks find them
// (Sources/World/PlantedBug.swift).
let plantedBugs: [SwiftSetting] =
  Context.environment["WALRUS_PLANTED_BUGS"] == "1" ? [.define("PLANTED_BUGS")] : []

let strict: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  ] + plantedBugs

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "NIOHTTP1", package: "swift-nio"),
]
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
// The server core of Hummingbird; its router would add nothing to the dozen calls there are.
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let asyncHTTPClient: Target.Dependency = .product(
  name: "AsyncHTTPClient", package: "async-http-client")
let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let package = Package(
  name: "walrus",
  products: [.executable(name: "walrus", targets: ["walrus"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
  ],
  targets: [
    // -O3 also in debug builds: the kernels are unusable without it.
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
    module("ReedSolomon", ["CKernels"]),
    module("RedStuff", ["CKernels", "ReedSolomon"]),
    module("Cluster", ["RedStuff", crypto]),
    module("World", ["Cluster", "RedStuff"]),
    module("Routing", ["RedStuff", "Cluster", "World", coreMetrics]),
    module("SliverStore", ["CKernels", "RedStuff", "Cluster", "World"]),
    module("Repair", ["RedStuff", "Cluster", "World", "Routing"]),
    module("ControlPlane", ["RedStuff", "Cluster", "World"]),
    module(
      "StorageNode",
      [
        "RedStuff", "Cluster", "World", "Routing", "SliverStore", "Repair", "ControlPlane", logging,
        coreMetrics,
      ]),
    module(
      "BlobClient", ["RedStuff", "Cluster", "World", "Routing", "ControlPlane", logging]),
    module("Simulator", ["RedStuff", "Cluster", "World"]),
    module(
      "Simulation",
      [
        "RedStuff", "Cluster", "World", "SliverStore", "Repair", "ControlPlane", "StorageNode",
        "BlobClient", "Simulator", logging,
      ]),
    module(
      "Drivers",
      [
        "RedStuff", "Cluster", "World", logging, grdb, heap, httpTypes, hummingbirdCore,
        asyncHTTPClient,
      ]
        + nio),
    module(
      "Gateway",
      [
        "RedStuff", "Cluster", "World", "Routing", "ControlPlane", "BlobClient", logging,
        coreMetrics,
        httpTypes, hummingbirdCore,
      ] + nio),
    .target(
      name: "Benchmarks",
      dependencies: [
        "ReedSolomon", "RedStuff", "Cluster", "World", "Routing", "SliverStore", "Repair",
        "ControlPlane", "StorageNode", "BlobClient", "Simulator", "Drivers", logging,
      ], path: "Benchmarks", swiftSettings: strict),
    .executableTarget(
      name: "walrus",
      dependencies: [
        "RedStuff", "Cluster", "World", "Routing", "SliverStore", "Repair", "ControlPlane",
        "StorageNode", "BlobClient", "Drivers", "Gateway", "Benchmarks", logging, coreMetrics,
        asyncHTTPClient,
        argumentParser,
      ] + nio,
      swiftSettings: strict),
    // Stands in for system calls; never part of anything that users run.
    .target(name: "CTripwires"),
    .executableTarget(
      name: "walrus-simulate",
      dependencies: [
        "CTripwires", "Cluster", "World", "Simulator", "Simulation", argumentParser,
      ],
      swiftSettings: strict),

    .target(name: "RunSeed", path: "Tests/RunSeed", swiftSettings: strict),
    .target(
      name: "FuzzTargets",
      dependencies: ["RedStuff", "Cluster", "World", "SliverStore", "Repair", "Simulator"],
      path: "Tests/FuzzTargets", swiftSettings: strict),
    tests("CKernelsTests", ["CKernels", "RunSeed"]),
    tests(
      "ReedSolomonTests", ["CKernels", "ReedSolomon", "RunSeed"], resources: [.copy("Vectors")]),
    tests("RedStuffTests", ["ReedSolomon", "RedStuff", "RunSeed"], resources: [.copy("Vectors")]),
    tests("ClusterTests", ["RedStuff", "Cluster"]),
    tests("WorldTests", ["World"]),
    tests(
      "RoutingTests", ["RedStuff", "Cluster", "World", "Routing", "Simulator", "RunSeed"]),
    tests(
      "RepairTests",
      [
        "RedStuff", "Cluster", "World", "Routing", "Repair", "Simulator", "Simulation", "RunSeed",
      ]),
    tests("FuzzTests", ["FuzzTargets"], resources: [.copy("Corpus")]),
    tests(
      "SliverStoreTests",
      ["RedStuff", "Cluster", "World", "SliverStore", "Simulator", "Simulation"]),
    tests("ControlPlaneTests", ["RedStuff", "Cluster", "World", "ControlPlane", "Simulator"]),
    tests(
      "StorageNodeTests",
      [
        "RedStuff", "Cluster", "World", "SliverStore", "Repair", "ControlPlane", "StorageNode",
        "Simulator",
        logging,
      ]),
    tests(
      "BlobClientTests",
      [
        "RedStuff", "Cluster", "World", "Routing", "SliverStore", "Repair", "ControlPlane",
        "StorageNode", "BlobClient", "Simulator", "RunSeed", logging,
      ]),
    tests("SimulatorTests", ["RedStuff", "Cluster", "World", "ControlPlane", "Simulator"]),
    tests(
      "SimulationTests",
      [
        "RedStuff", "Cluster", "World", "SliverStore", "Repair", "ControlPlane", "StorageNode",
        "BlobClient", "Simulator", "Simulation", "walrus-simulate", logging,
      ]),
    tests(
      "DriversTests",
      [
        "RedStuff", "Cluster", "World", "Routing", "SliverStore", "Simulator", "Drivers", logging,
        grdb, hummingbirdCore, asyncHTTPClient, httpTypes,
      ] + nio),
    tests(
      "GatewayTests",
      [
        "RedStuff", "Cluster", "World", "Routing", "ControlPlane", "BlobClient", "Simulator",
        "Drivers",
        "Gateway", logging, coreMetrics, hummingbirdCore, asyncHTTPClient, httpTypes,
      ] + nio),
    tests("walrusTests", ["walrus"]),
  ]
)
