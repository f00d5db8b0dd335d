import Foundation
import Glibc
import Kernel
import Sandbox
import TestSupport
import Testing

/// What a job can reach of the host's processes, of the shim and of other jobs.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct NeighbourTests {
    /// A process of the host with something to find in its environment.
    private final class Victim {
        let process = Process()
        let token = UUID().uuidString

        init() throws {
            process.executableURL = URL(fileURLWithPath: "/bin/sleep")
            process.arguments = ["1000"]
            process.environment = ["VICTIM": token]
            try process.run()
        }

        deinit { kill(process.processIdentifier, SIGKILL) }
    }

    private static let searches = [
        """
        token = sys.argv[1].encode()
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if b'VICTIM=' + token in open(f'/proc/{pid}/environ', 'rb').read(): return 'found'
            except OSError: pass
        return 'nothing'
        """,
        """
        pid, marker = sys.argv[2:4]
        try:
            os.kill(int(pid), 0)
            return 'found'
        except ProcessLookupError: return 'nothing'
        """,
        """
        for pid in filter(str.isdigit, os.listdir('/proc')):
            if os.path.exists(f'/proc/{pid}/root{sys.argv[3]}'): return 'found'
            if os.path.exists(f'/proc/{pid}/cwd/../../../../../..{sys.argv[3]}'): return 'found'
        return 'nothing'
        """,
        """
        return 'found' if int(sys.argv[2]) in map(int, filter(str.isdigit, os.listdir('/proc'))) else 'nothing'
        """,
        """
        import signal
        try: call(libc.ptrace, 16, int(sys.argv[2]), None, None)
        except ProcessLookupError: return 'nothing'
        os.waitpid(int(sys.argv[2]), 0)
        return 'found'
        """,
        """
        return 'found' if os.path.exists(sys.argv[3]) else 'nothing'
        """,
    ]

    @Test(arguments: searches)
    func `processes and files of the host are out of reach, even for its root with every right`(
        _ body: String
    ) throws {
        let shim = try ShimProcess()
        let victim = try Victim()
        // A pid that no job's own namespace reaches.
        let pid = victim.process.processIdentifier
        try #require(pid > 100)
        let arguments = [victim.token, "\(pid)", "\(shim.directory.path)/control"]
        let attack = Attack(body)
        #expect(try attack.outcomeOnHost(arguments: arguments) == "found")
        if !body.contains("ptrace") { #expect(try attack.outcome(in: shim, arguments: arguments) == "nothing") }
        #expect(try attack.outcome(in: shim, without: .everything, arguments: arguments) == "nothing")
    }

    @Test func `a job that is shown the control socket is not listened to`() throws {
        let shim = try ShimProcess()
        let attack = Attack(
            """
            import socket
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(90)
            s.connect('/shown/control')
            s.send(bytes([6, 0, 0, 0, 1, 0, 1, 0, 1, 0]))
            return 'answered' if s.recv(6) else 'hung up'
            """)
        let show: (inout SandboxPlan) -> Void = { plan in
            plan.binds.append(.init(source: shim.directory.path, target: "/shown", isReadOnly: false))
        }
        // With the host's ids mapped the directory is open to the job, so only the peer's uid is left to stop it.
        let outcome = try attack.outcome(in: shim, configure: show)
        #expect(["hung up", "EPIPE", "ECONNRESET"].contains(outcome), "\(outcome)")
        #expect(
            try attack.outcome(in: shim) { plan in
                show(&plan)
                plan.mapsFileOwners = false
            } == "EACCES")
    }

    @Test func `the first process is the job's own program, which cannot be changed`() throws {
        let shim = try ShimProcess()
        let attack = Attack("open('/proc/1/exe', 'r+b')")
        #expect(["EROFS", "ETXTBSY"].contains(try attack.outcome(in: shim)))
        let underInit = Attack(
            """
            if 'joblet-init' not in os.readlink('/proc/1/exe'): return 'no init'
            try: os.chmod('/proc/1/exe', 0o777)
            except OSError: pass
            open('/proc/1/exe', 'r+b').write(b'x')
            """)
        let outcome = try underInit.outcome(in: shim) { $0.usesInit = true }
        #expect(["EPERM", "ETXTBSY", "EACCES"].contains(outcome), "\(outcome)")
        let all = try underInit.outcome(in: shim, without: .everything) { $0.usesInit = true }
        #expect(["EPERM", "ETXTBSY"].contains(all), "\(all)")
    }

    @Test func `nothing of the shim is in the job's environment or memory map`() throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["sh", "-c", "tr '\\0' '\\n' </proc/1/environ; cat /proc/1/maps"])
        #expect(result.stdout.hasPrefix("PATH=/usr/local/bin:/usr/bin:/bin\nHOME=/work\n"))
        #expect(!result.stdout.contains("joblet"))
    }

    @Test func `a file of one job is closed to another with other ids`() throws {
        let shim = try ShimProcess()
        let shared = try TemporaryDirectory(in: "/run", name: "joblet-shared")
        chmod(shared.path, 0o1777)
        func write(base: UInt32) throws -> String {
            try Attack(
                """
                try: os.chmod('/shared/file', 0o666)
                except FileNotFoundError: pass
                os.close(os.open('/shared/file', os.O_RDWR | os.O_CREAT, 0o600))
                """
            ).outcome(in: shim) { plan in
                plan.idBase = base
                plan.mapsFileOwners = false
                plan.binds.append(.init(source: shared.path, target: "/shared", isReadOnly: false))
            }
        }
        #expect(try write(base: 0x1000_0000) == "done")
        #expect(try write(base: 0x1001_0000) == "EPERM")
        #expect(try write(base: 0x1000_0000) == "done")
    }

    @Test func `a volume's links lead nowhere but into the sandbox`() throws {
        let shim = try ShimProcess()
        let volume = try TemporaryDirectory(in: "/run", name: "joblet-volume")
        let victim = try TemporaryDirectory(in: "/run", name: "joblet-victim")
        // A job can leave such links in a volume; the mounts of a later job go through them.
        for (name, destination) in [("there", "/run"), ("missing", victim.path), ("up", "../../../../../../run")] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(volume.path)/\(name)", withDestinationPath: destination)
        }
        try "x".write(toFile: "\(volume.path)/file", atomically: false, encoding: .utf8)
        func list(_ target: String) throws -> String {
            try shim.runSecured(["ls", "/run"]) { plan in
                plan.binds.append(.init(source: volume.path, target: "/volume", isReadOnly: false))
                plan.binds.append(.init(source: "\(volume.path)/file", target: target))
            }.stdout
        }
        let name = "joblet-created-\(getpid())"
        #expect(try list("/volume/there/\(name)") == "\(name)\n")
        #expect(try list("/volume/up/\(name)") == "\(name)\n")
        #expect(throws: SystemCallError.self) { try list("/volume/missing/\(name)") }
        #expect(access("/run/\(name)", F_OK) != 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: victim.path).isEmpty)
    }

    @Test(arguments: ["/", "/a/../../../evil", "//."]) func `a bind outside the sandbox is refused`(
        _ target: String
    ) throws {
        let shim = try ShimProcess()
        #expect(throws: SystemCallError.self) {
            try shim.runSecured(["true"]) { plan in
                plan.binds.append(.init(source: "/usr/share", target: target))
            }
        }
    }
}
