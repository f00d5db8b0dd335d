// swift-tools-version: 6.2
import Foundation
import PackageDescription

// The storage and isolation half of the program builds and tests without gRPC: JOBLET_CORE=1 leaves
// out every target that needs it, so that `make test-core` takes a minute rather than ten.
let coreOnly = ProcessInfo.processInfo.environment["JOBLET_CORE"] == "1"

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

// Fail-points exist in debug builds only: a shipped binary has no way to be told to fail.
let faults: [SwiftSetting] = strict + [.define("FAILPOINTS", .when(configuration: .debug))]

// ISA-L compresses four times faster than zlib; it is used where its header is installed.
let hasISAL = FileManager.default.fileExists(atPath: "/usr/include/isa-l.h")

// The static standard library's flags export every symbol, which keeps what nothing uses; nobody loads these programs as
// a library. Packed relocations (glibc 2.36) take a hundredth of the room. Both make the programs smaller, and with them
// what a process has in memory.
let program: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--no-export-dynamic", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
        ],
        .when(configuration: .release))
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grpcCore: Target.Dependency = .product(name: "GRPCCore", package: "grpc-swift-2")
let grpcTransport: Target.Dependency = .product(
    name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")

var products: [Product] = [
    .library(name: "Storage", targets: ["Storage"]),
    .library(name: "Backends", targets: ["Backends"]),
    .library(name: "CloudBackends", targets: ["CloudBackends"]),
    .executable(name: "joblet-shim", targets: ["joblet-shim"]),
]

var targets: [Target] = [
    .target(name: "Storage", swiftSettings: strict),
    .target(
        name: "CGzip",
        path: "Sources/Backends/CGzip",
        linkerSettings: [.linkedLibrary("z")] + (hasISAL ? [.linkedLibrary("isal")] : [])),
    .target(
        name: "Backends",
        dependencies: ["Storage", "CGzip", .product(name: "GRDB", package: "GRDB.swift")],
        exclude: ["CGzip", "AWS"],
        swiftSettings: faults),
    .systemLibrary(
        name: "CCurl", path: "Sources/Backends/AWS/CCurl", pkgConfig: "libcurl",
        providers: [.apt(["libcurl4-openssl-dev"])]),
    // A target of its own: the daemon is built without it.
    .target(
        name: "CloudBackends", dependencies: ["Storage", "Backends", "CCurl", "CCrypto"],
        path: "Sources/Backends/AWS", exclude: ["CCurl"], swiftSettings: faults),

    .target(name: "CLinux", path: "Sources/Engine/CLinux"),
    .target(
        name: "Kernel", dependencies: ["CLinux"], path: "Sources/Engine/Kernel", swiftSettings: faults),
    .target(
        name: "Outbox", dependencies: ["CLinux", "Kernel"], path: "Sources/Engine/Outbox", swiftSettings: faults),
    .target(
        name: "Sandbox", dependencies: ["CLinux", "Kernel"], path: "Sources/Engine/Sandbox",
        swiftSettings: faults),
    .executableTarget(
        name: "joblet-shim",
        dependencies: ["Sandbox", "Outbox", "Kernel", "CLinux"],
        path: "Sources/Engine/Shim",
        swiftSettings: faults,
        linkerSettings: [.unsafeFlags(["-static-executable"])]),
    .systemLibrary(
        name: "CSeccomp", path: "Sources/Engine/CSeccomp", pkgConfig: "libseccomp",
        providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(
        name: "CCrypto", path: "Sources/Engine/CCrypto", pkgConfig: "libcrypto",
        providers: [.apt(["libssl-dev"])]),
    // The daemon's and the client's configuration files.
    .systemLibrary(name: "CYAML", path: "Sources/Server/YAML/CYAML", providers: [.apt(["libyaml-dev"])]),
    .target(
        name: "YAML", dependencies: ["CYAML"], path: "Sources/Server/YAML", exclude: ["CYAML"], swiftSettings: strict),
    .target(
        name: "Engine",
        dependencies: ["Storage", "Sandbox", "Outbox", "Kernel", "CLinux", "CSeccomp", "CCrypto", logging],
        exclude: ["CLinux", "Kernel", "Sandbox", "Outbox", "Shim", "CSeccomp", "CCrypto"],
        swiftSettings: faults),

    .target(name: "TestSupport", dependencies: ["Storage"], path: "Tests/TestSupport", swiftSettings: strict),
    .target(
        name: "StorageConformance", dependencies: ["Storage"], path: "Tests/StorageConformance",
        swiftSettings: strict),
    .testTarget(name: "StorageTests", dependencies: ["Storage", "TestSupport"], swiftSettings: strict),
    .testTarget(
        name: "BackendsTests",
        dependencies: [
            "Storage", "Backends", "StorageConformance", "TestSupport", .product(name: "GRDB", package: "GRDB.swift"),
        ],
        swiftSettings: strict),
    // Runs the programs that stand for AWS: moto's server, and a proxy that makes faults.
    .target(
        name: "AWSSupport", dependencies: ["CloudBackends", "TestSupport"], path: "Tests/AWSSupport",
        swiftSettings: strict),
    .testTarget(
        name: "CloudBackendsTests",
        dependencies: ["Storage", "Backends", "CloudBackends", "StorageConformance", "TestSupport", "AWSSupport"],
        swiftSettings: strict),
    // What the two programs of `make bench` have in common.
    .target(name: "BenchmarkSupport", path: "Tests/BenchmarkSupport", swiftSettings: strict),
    // Not a test: `make bench` runs it.
    .executableTarget(
        name: "storage-bench",
        dependencies: [
            "Storage", "Backends", "CloudBackends", "AWSSupport", "BenchmarkSupport",
            .product(name: "GRDB", package: "GRDB.swift"),
        ],
        path: "Tests/StorageBenchmarks",
        swiftSettings: strict),
    .testTarget(
        name: "OutboxTests", dependencies: ["Outbox", "Kernel", "CLinux", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "YAMLTests", dependencies: ["YAML", "TestSupport"], swiftSettings: strict),
    // The tests run joblet-shim but do not depend on it: its static linking would become theirs. A build of
    // the tests builds every program.
    .testTarget(
        name: "SandboxTests",
        dependencies: ["Engine", "Sandbox", "Outbox", "Kernel", "CLinux", "TestSupport"],
        swiftSettings: strict),
    .testTarget(
        name: "EngineTests",
        dependencies: [
            "Engine", "Sandbox", "Outbox", "Kernel", "Storage", "Backends", "CLinux", "TestSupport",
            logging,
        ],
        swiftSettings: strict),
]

var dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
]

if !coreOnly {
    products += [
        .executable(name: "joblet", targets: ["joblet"]),
        .executable(name: "persist", targets: ["persist"]),
        .executable(name: "state", targets: ["state"]),
        .executable(name: "rnx", targets: ["rnx"]),
    ]
    targets += [
        .target(
            name: "JobletAPI",
            dependencies: [
                grpcCore,
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            path: "Sources/Server/API",
            exclude: ["Protos"],
            swiftSettings: [.enableUpcomingFeature("InternalImportsByDefault")]),
        // Not "Security", the name of an Apple framework: packages that use that one where it can be imported would
        // find ours, and break when they are built after it.
        .target(
            name: "JobletSecurity",
            dependencies: [
                grpcTransport,
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            path: "Sources/Server/Security",
            swiftSettings: strict),
        .target(
            name: "Server",
            dependencies: [
                "Engine", "CLinux", "Storage", "JobletAPI", "JobletSecurity", "YAML", logging, grpcCore, grpcTransport,
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            path: "Sources/Server",
            exclude: ["API", "Security", "YAML", "Main"],
            swiftSettings: strict),
        .target(
            name: "LocalStores",
            dependencies: ["Server", "Backends", "Storage"],
            path: "Sources/Server/Main/LocalStores",
            swiftSettings: strict),
        .executableTarget(
            name: "joblet",
            dependencies: [
                "Server", "LocalStores", "Engine", "JobletSecurity", argumentParser, logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Server/Main/joblet",
            swiftSettings: strict,
            linkerSettings: program),
        // What the commands of persist and state have in common.
        .target(
            name: "StorageCommands",
            dependencies: ["Server", "LocalStores", "CloudBackends", "Engine", "Storage", argumentParser, logging],
            path: "Sources/Server/Main/StorageCommands",
            swiftSettings: strict),
        .executableTarget(
            name: "persist",
            dependencies: [
                "Server", "StorageCommands", "LocalStores", "Backends", "Storage", argumentParser, logging,
            ],
            path: "Sources/Server/Main/persist",
            swiftSettings: strict,
            linkerSettings: program),
        .executableTarget(
            name: "state",
            dependencies: ["Server", "StorageCommands", "LocalStores", "Storage", argumentParser, logging],
            path: "Sources/Server/Main/state",
            swiftSettings: strict,
            linkerSettings: program),
        .executableTarget(
            name: "rnx",
            dependencies: [
                "JobletAPI", "JobletSecurity", "YAML", argumentParser, grpcCore, grpcTransport,
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Sources/rnx",
            swiftSettings: strict,
            linkerSettings: program),
        // Not a test: `make bench` runs it. The C program beside it is compiled by scripts/bench.sh.
        .executableTarget(
            name: "joblet-bench",
            dependencies: [
                "JobletAPI", "JobletSecurity", "Backends", "Storage", "BenchmarkSupport", grpcCore, grpcTransport,
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            path: "Tests/Benchmarks",
            exclude: ["BareClient", "Floor"],
            swiftSettings: strict),
        .executableTarget(
            name: "bare-client",
            dependencies: ["JobletAPI", grpcCore, grpcTransport],
            path: "Tests/Benchmarks/BareClient",
            swiftSettings: strict,
            linkerSettings: program),
        .testTarget(
            name: "SecurityTests",
            dependencies: [
                "JobletSecurity", "JobletAPI", "YAML", grpcCore, grpcTransport,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "X509", package: "swift-certificates"),
            ],
            swiftSettings: strict),
        // Runs the daemon's program as a process of its own.
        .target(
            name: "DaemonSupport",
            dependencies: [
                "JobletAPI", "JobletSecurity", "TestSupport", grpcCore, grpcTransport,
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            path: "Tests/DaemonSupport",
            swiftSettings: strict),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server", "JobletAPI", "JobletSecurity", "Engine", "Storage", "Backends", "TestSupport",
                "DaemonSupport", "AWSSupport", "YAML", "joblet", "persist", "state", "rnx", logging, grpcCore,
                grpcTransport,
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "WorkersTests",
            dependencies: [
                "Server", "Engine", "JobletAPI", "Storage", "Backends", "StorageConformance", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "StorageCommandsTests",
            dependencies: [
                "persist", "state", "Engine", "Storage", "Backends", "StorageConformance", "TestSupport",
                "DaemonSupport", "AWSSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "RnxTests",
            dependencies: [
                "rnx", "joblet", "JobletAPI", "JobletSecurity", "TestSupport", argumentParser, grpcCore, grpcTransport,
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            swiftSettings: strict),
    ]
    dependencies += [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ]
}

let package = Package(
    name: "joblet",
    products: products,
    dependencies: dependencies,
    targets: targets,
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
