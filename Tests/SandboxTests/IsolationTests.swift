import Engine
import Foundation
import Glibc
import Kernel
import Sandbox
import TestSupport
import Testing

/// What a job finds: exactly what its plan says, and all that ordinary programs expect.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct IsolationTests {
    private func python(_ program: String) -> [String] { ["/usr/bin/python3", "-c", program] }

    @Test func `environment, directory, name, mask and signals are those of the plan`() throws {
        let shim = try ShimProcess()
        let program = """
            import os, signal, socket
            print(sorted(open('/proc/self/environ').read().split(chr(0))))
            print(os.getcwd(), socket.gethostname(), oct(os.umask(0)), os.getpid(), os.getsid(0))
            status = dict(line.split(':', 1) for line in open('/proc/self/status'))
            print(*(status[name].strip() for name in ('SigBlk', 'NoNewPrivs', 'Seccomp', 'CapInh', 'CapAmb', 'Groups')))
            print(os.getresuid(), os.getresgid())
            """
        let result = try shim.runSecured(python(program)) { plan in
            plan.environment = ["A=1", "EMPTY=", "WITH=a=b c"]
            plan.workDirectory = "/tmp"
            plan.hostname = "job-12345678"
        }
        #expect(
            result.stdout == """
                ['', 'A=1', 'EMPTY=', 'WITH=a=b c']
                /tmp job-12345678 0o22 1 1
                0000000000000000 1 2 0000000000000000 0000000000000000\u{20}
                (0, 0, 0) (0, 0, 0)

                """, "\(result.stdout)\(result.stderr)")
    }

    @Test func `a job has its three streams and nothing else`() throws {
        let shim = try ShimProcess()
        for usesInit in [false, true] {
            let program = """
                import os
                for n in sorted(map(int, os.listdir('/proc/self/fd'))):
                    try: print(n, os.readlink(f'/proc/self/fd/{n}').split(':')[0])
                    except OSError: pass
                """
            let result = try shim.runSecured(python(program)) { $0.usesInit = usesInit }
            #expect(result.stdout == "0 /dev/null\n1 pipe\n2 pipe\n", "\(result.stdout)\(result.stderr)")
        }
    }

    @Test func `capabilities are the small set, and for good`() throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["grep", "-E", "Cap(Prm|Eff|Bnd)", "/proc/self/status"])
        let set = String(Capabilities.default(hasOwnNetwork: true).rawValue, radix: 16)
        let masks = result.stdout.split(separator: "\n").map { $0.split(separator: "\t").last.map(String.init) ?? "" }
        #expect(masks.count == 3)
        for mask in masks { #expect(mask.drop { $0 == "0" } == set) }
    }

    @Test func `every mount ignores set-user-ID files, and device nodes outside of dev`() throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["cat", "/proc/self/mountinfo"])
        let mounts = result.stdout.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(mounts.count > 10)
        for mount in mounts {
            let (target, options) = (String(mount[4]), mount[5].split(separator: ","))
            #expect(options.contains("nosuid"), "\(target)")
            let holdsDevices = target == "/dev" || target.hasPrefix("/dev/pts") || target.hasPrefix("/proc/")
            #expect(options.contains("nodev") || holdsDevices, "\(target)")
            let isWritable = ["/proc", "/dev/pts", "/dev/shm", "/tmp", "/var/tmp", "/work"].contains(target)
            #expect(options.contains(isWritable ? "rw" : "ro"), "\(target)")
        }
    }

    @Test func `a set-user-ID program gives nothing`() throws {
        let shim = try ShimProcess()
        let program = """
            cp /usr/bin/id /work/id && chmod 4755 /work/id && chmod 755 /work
            python3 -c 'import os; os.setuid(1000); os.execv("/work/id", ["id", "-u"])'
            """
        #expect(try shim.runSecured(["sh", "-c", program]).stdout == "1000\n")
    }

    @Test func `host files show as the job's own and cannot be changed`() throws {
        let shim = try ShimProcess()
        let directory = try TemporaryDirectory(in: "/run", name: "joblet-files")
        for isReadOnly in [true, false] {
            let program = "stat -c '%u %g' /files && touch /files/new && echo written"
            let result = try shim.runSecured(["sh", "-c", program]) {
                $0.binds.append(.init(source: directory.path, target: "/files", isReadOnly: isReadOnly))
            }
            #expect(result.stdout == (isReadOnly ? "0 0\n" : "0 0\nwritten\n"))
            #expect(result.stderr.contains("Read-only file system") == isReadOnly)
        }
    }

    @Test func `only the loopback is there, and it works`() throws {
        let shim = try ShimProcess()
        let program = """
            import socket, os
            up = [name for _, name in socket.if_nameindex()
                  if int(os.popen(f'cat /proc/net/dev | grep -c {name}:').read())]
            server = socket.create_server(('127.0.0.1', 80))
            client = socket.create_connection(('127.0.0.1', 80))
            server.accept()[0].send(b'hello')
            print('lo' in up, client.recv(5).decode(), open('/proc/net/route').read().count('\\n'))
            try: socket.create_connection(('8.8.8.8', 53), timeout=5)
            except OSError as error: print(error.strerror)
            """
        let result = try shim.runSecured(python(program))
        #expect(result.stdout == "True hello 1\nNetwork is unreachable\n", "\(result.stderr)")
    }

    @Test func `the host's network is shared only if the plan says so, and without its low ports`() throws {
        let shim = try ShimProcess()
        let inside = "readlink /proc/self/ns/net"
        let host = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net") + "\n"
        #expect(try shim.runSecured(["sh", "-c", inside]).stdout != host)
        #expect(try shim.runSecured(["sh", "-c", inside]) { $0.isolatesNetwork = false }.stdout == host)
        let bind = Attack("import socket; socket.create_server(('127.0.0.1', 81)); return 'bound'")
        #expect(try bind.outcome(in: shim) == "bound")
        #expect(try bind.outcome(in: shim) { $0.isolatesNetwork = false } == "EACCES")
    }

    @Test(arguments: [
        ("bash", "cat <(echo one) <(echo two)", "one\ntwo\n"),
        ("bash", "echo x >/dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c", "3\n3\n"),
        ("bash", "echo x 2>/dev/null >/dev/full || echo full", "full\n"),
        ("bash", "echo out >/dev/stdout; echo err >/dev/stderr; echo err | tee /dev/stderr", "out\nerr\n"),
        ("python3", "import os; os.setuid(1000); open('/dev/stdout', 'w').write('other')", "other"),
        ("bash", "ls /dev | tr '\\n' ' '", "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero "),
        ("bash", "readlink /dev/fd /dev/stdin /dev/ptmx", "/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n"),
        ("bash", "echo </dev/tty || echo none", "none\n"),
        (
            "python3",
            "import multiprocessing.shared_memory as m; s = m.SharedMemory(create=True, size=9); s.unlink(); print(1)",
            "1\n"
        ),
        ("python3", "import pty; pty.spawn(['tty'])", "/dev/pts/0\r\n"),
        ("bash", "script -qc 'stty size; echo pty' /dev/null </dev/null | tail -1", "pty\r\n"),
        ("bash", "nproc >/dev/null && echo counted; ps ax >/dev/null && echo seen", "counted\nseen\n"),
        ("bash", "cd /work && touch a && rm a; cd /var/tmp && touch b && ls /tmp", "b\n"),
        ("bash", "id -un; whoami; ls -ld /work | cut -d' ' -f3-4", "root\nroot\nroot root\n"),
    ]) func `ordinary programs find what they expect`(_ shell: String, _ program: String, _ output: String) throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured([shell, "-c", program])
        #expect(result.stdout == output, "\(result.stderr)")
    }

    @Test(arguments: ["/tmp", "/work", "/dev/shm"]) func `a memory file system ends at its size`(
        _ path: String
    ) throws {
        let shim = try ShimProcess()
        func fill(_ mebibytes: UInt64) throws -> String {
            try Attack(
                """
                with open('\(path)/file', 'wb', buffering=0) as file:
                    for _ in range(3): file.write(bytes(1 << 20))
                    if file.tell() != 3 << 20: return 'short'
                """
            ).outcome(in: shim) { plan in
                plan.temporaryBytes = mebibytes << 20
                plan.work = .memory(bytes: mebibytes << 20)
                plan.sharedMemoryBytes = mebibytes << 20
            }
        }
        #expect(["ENOSPC", "short"].contains(try fill(2)))
        #expect(try fill(4) == "done")
        // Files without contents take the kernel's memory as well.
        let names = Attack("for n in range(2000): open(f'\(path)/{n}', 'w').close()")
        #expect(
            try names.outcome(in: shim) { plan in
                plan.temporaryBytes = 1 << 20
                plan.work = .memory(bytes: 1 << 20)
                plan.sharedMemoryBytes = 1 << 20
            } == "ENOSPC")
        #expect(try names.outcome(in: shim) == "done")
    }

    @Test func `uploads arrive with their contents and modes, owned by the job`() throws {
        let shim = try ShimProcess()
        let staging = try TemporaryDirectory(in: "/run", name: "joblet-staging")
        try FileManager.default.createDirectory(atPath: "\(staging.path)/d/e", withIntermediateDirectories: true)
        let large = [UInt8]((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try Data(large).write(to: URL(fileURLWithPath: "\(staging.path)/d/large"))
        try Data("#!/bin/sh\necho ran\n".utf8).write(to: URL(fileURLWithPath: "\(staging.path)/run"))
        try Data().write(to: URL(fileURLWithPath: "\(staging.path)/d/e/empty"))
        for (name, mode) in [("run", 0o4755), ("d/large", 0o600), ("d/e/empty", 0o444), ("d", 0o750), ("d/e", 0o555)] {
            chmod("\(staging.path)/\(name)", mode_t(mode))
        }
        let sum = "sha256sum d/large | cut -c1-64"
        let program = "find . -printf '%P %m %U %s\\n' | grep -v ^d' ' | sort; ./run; \(sum)"
        let result = try shim.runSecured(["sh", "-c", program]) { $0.staging = staging.path }
        let expected = Process()
        expected.executableURL = URL(fileURLWithPath: "/bin/sh")
        expected.arguments = ["-c", "cd \(staging.path) && \(sum)"]
        let pipe = Foundation.Pipe()
        expected.standardOutput = pipe
        try expected.run()
        let checksum = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let lines = result.stdout.split(separator: "\n").map { line in
            line.split(separator: " ").prefix(3).joined(separator: " ")
        }
        // The set-user-ID bit is gone.
        #expect(lines.contains("run 755 0"), "\(result.stdout)\(result.stderr)")
        #expect(lines.contains("d/large 600 0") && lines.contains("d/e/empty 444 0") && lines.contains("d/e 555 0"))
        #expect(result.stdout.hasSuffix("ran\n\(checksum)"))
    }

    @Test func `a work directory on disk is the host's, with the job's ids`() throws {
        let shim = try ShimProcess()
        let work = try TemporaryDirectory(in: "/run", name: "joblet-work")
        chown(work.path, 0x1000_0000, 0x1000_0000)
        let result = try shim.runSecured(["sh", "-c", "echo kept >file; chmod 4755 file; stat -c %u file; pwd"]) {
            $0.work = .directory(work.path)
        }
        #expect(result.stdout == "0\n/work\n", "\(result.stderr)")
        #expect(try String(contentsOfFile: "\(work.path)/file", encoding: .utf8) == "kept\n")
        var status = stat()
        #expect(stat("\(work.path)/file", &status) == 0)
        #expect(status.st_uid == 0x1000_0000)
    }

    @Test func `a work directory that is a link is refused`() throws {
        let shim = try ShimProcess()
        let directory = try TemporaryDirectory(in: "/run", name: "joblet-work")
        try FileManager.default.createSymbolicLink(atPath: "\(directory.path)/link", withDestinationPath: "/root")
        #expect(throws: SystemCallError("work directory (bind \(directory.path)/link, a symbolic link)", code: ELOOP)) {
            try shim.run(["true"]) { $0.work = .directory("\(directory.path)/link") }
        }
    }

    @Test func `nothing of a job is left in the host's mounts`() throws {
        let before = try readText("/proc/self/mountinfo")
        let shim = try ShimProcess()
        _ = try shim.runSecured(["true"])
        #expect(try readText("/proc/self/mountinfo") == before)
        #expect(try Directory.names(in: "\(shim.directory.path)/root").isEmpty)
    }

    @Test func `a step that cannot be done is named`() throws {
        let shim = try ShimProcess()
        #expect(throws: SystemCallError("mount /missing (open_tree /no/such/file)", code: ENOENT)) {
            try shim.run(["true"]) { $0.binds.append(.init(source: "/no/such/file", target: "/missing")) }
        }
        #expect(throws: SystemCallError("work directory (chdir /nowhere)", code: ENOENT)) {
            try shim.run(["true"]) { $0.workDirectory = "/nowhere" }
        }
    }
}
