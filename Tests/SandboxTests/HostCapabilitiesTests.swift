import Glibc
import Kernel
import Sandbox
import TestSupport
import Testing

@testable import Engine

@Suite(.enabled(if: Host.isRoot, "needs root"))
struct HostCapabilitiesTests {
    @Test func `what the tests use is found, and nothing is left of the search`() throws {
        let host = HostCapabilities.probe(binds: ["/usr", "/proc", "/no/such"])
        let found = Dictionary(uniqueKeysWithValues: host.capabilities.map { ($0.name, $0) })
        for name in ["kernel 5.12 or newer", "pid namespaces", "net namespaces", "system call filters", "tmpfs"] {
            #expect(found[name]?.isAvailable == true, "\(name)")
        }
        #expect(host.hasUserNamespaces)
        // procfs has no such mounts.
        #expect(found["idmapped mounts on /proc"]?.isAvailable == false)
        #expect(found["idmapped mounts on /no/such"]?.detail.contains("No such file") == true)
        #expect(host.cgroupMode == (Host.hasUnifiedCgroups ? .unified : .legacy))
        #expect(host.controllers.isSuperset(of: ["memory", "pids"]) == TestCgroup.canLimit)
        let groups = try FileNames.below("/sys/fs/cgroup")
        #expect(!groups.contains("joblet-probe-\(getpid())"))
    }

    private enum FileNames {
        static func below(_ path: String) throws -> [String] {
            try Directory.names(in: path).flatMap { name in
                [name] + ((try? Directory.names(in: "\(path)/\(name)")) ?? [])
            }
        }
    }

    @Test func `owners of files are mapped where the host can, and nowhere else`() throws {
        let host = HostCapabilities.probe(binds: ["/usr", "/etc"])
        let shim = try ShimProcess()
        let maps = Result { try shim.run(["true"]) { $0.mapsFileOwners = true } }
        #expect((try? maps.get().exit.exitCode == 0) == (host.idmappable == ["/usr", "/etc"] ? true : nil))
    }

    @Test func `the report names what is missing and what follows`() {
        let host = HostCapabilities(
            capabilities: [
                .init(name: "kernel", isAvailable: true, detail: "6.1", consequence: "no job can start"),
                .init(name: "loop devices", isAvailable: false, detail: "not there", consequence: "no volumes"),
            ], cgroupMode: .none, controllers: [], hasUserNamespaces: false, idmappable: [])
        #expect(
            host.text == """
                yes  kernel        6.1
                no   loop devices  not there; no volumes

                """)
    }

    @Test func `limits stay below what this process could set`() {
        func limit(_ resource: Int32, mayRaise: Bool) -> SandboxPlan.ResourceLimit? {
            ResourceLimits.defaults(mayRaise: mayRaise, largestTable: 500_000) { _ in 4096 }
                .first { $0.resource == resource }
        }
        #expect(limit(7, mayRaise: true) == .init(resource: 7, soft: 1024, hard: 500_000))
        #expect(limit(7, mayRaise: false) == .init(resource: 7, soft: 1024, hard: 4096))
        #expect(limit(6, mayRaise: false) == .init(resource: 6, soft: 4096, hard: 4096))
        #expect(limit(4, mayRaise: true) == .init(resource: 4, soft: 0, hard: 0))
    }

    @Test func `jobs start with these limits`() throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["sh", "-c", "ulimit -Sn; ulimit -c; ulimit -l; ulimit -r"])
        #expect(result.stdout == "1024\n0\n64\n0\n", "\(result.stderr)")
    }
}
