import Engine
import Foundation
import Sandbox
import TestSupport
import Testing

/// The default filter, as the kernel enforces it.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct SystemCallTests {
    private static let errors = """
        refused = []
        for item in sys.argv[1:]:
            name, number = item.split(':')
            ctypes.set_errno(0)
            result = libc.syscall(ctypes.c_long(int(number)), *[ctypes.c_long(-1)] * 6)
            outcome = errno.errorcode.get(ctypes.get_errno(), 'none') if result == -1 else 'ok'
            refused.append(name + ':' + outcome)
        return ' '.join(refused)
        """

    private func outcomes(
        of calls: [(name: String, number: Int32)], in shim: ShimProcess, without weakness: Weakness = []
    ) throws -> [String: String] {
        let text = try Attack(SystemCallTests.errors).outcome(
            in: shim, without: weakness, arguments: calls.map { "\($0.name):\($0.number)" })
        return Dictionary(
            uniqueKeysWithValues: text.split(separator: " ").compactMap { item in
                let parts = item.split(separator: ":")
                return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
            })
    }

    @Test func `every call that the profile refuses fails with EPERM`() throws {
        let shim = try ShimProcess()
        let calls = try SeccompProfile.default.refused.compactMap { name in
            try SeccompProfile.number(of: name).map { (name: name, number: $0) }
        }
        let outcomes = try outcomes(of: calls, in: shim)
        for call in calls { #expect(outcomes[call.name] == "EPERM", "\(call.name)") }
        // Without the filter some of them would have reached code of the kernel: other errors than EPERM.
        let harmless = calls.filter {
            [
                "unshare", "setns", "mount", "kcmp", "keyctl", "add_key", "bpf", "userfaultfd",
                "io_uring_setup", "process_vm_readv", "perf_event_open", "fanotify_init",
            ].contains($0.name)
        }
        let unfiltered = try self.outcomes(of: harmless, in: shim, without: .noFilter)
        let reached = harmless.filter { unfiltered[$0.name] != "EPERM" }
        #expect(reached.count >= 8, "\(unfiltered)")
    }

    @Test func `calls newer than the profile do not exist, so that libraries fall back`() throws {
        let shim = try ShimProcess()
        // cachestat, fchmodat2 and what came after; 600 is beyond every kernel.
        let calls = ([451, 452, 457, 462, 600] as [Int32]).map { (name: "n\($0)", number: $0) }
        let outcomes = try outcomes(of: calls, in: shim)
        for call in calls { #expect(outcomes[call.name] == "ENOSYS", "\(call.number)") }
    }

    @Test func `the profile's rules do not contradict each other`() {
        let profile = SeccompProfile.default
        let allowed = Set(profile.allowed.flatMap(\.calls))
        #expect(allowed.isDisjoint(with: profile.refused))
        #expect(allowed.isDisjoint(with: profile.absent))
        #expect(Set(profile.refused).count == profile.refused.count)
    }

    @Test func `an unknown call in a profile is an error`() {
        let profile = SeccompProfile(allowed: [.init(["read", "no_such_call"])], refused: [], absent: [])
        #expect(throws: SeccompProfile.CompilationError.unknownCall("no_such_call")) { try profile.compiled() }
    }

    struct Family: Sendable, CustomTestStringConvertible {
        let name: String
        let arguments: String
        let isAllowed: Bool

        var testDescription: String { name }
    }

    static let families = [
        Family(name: "AF_UNIX", arguments: "1, 1, 0", isAllowed: true),
        Family(name: "AF_INET", arguments: "2, 1, 0", isAllowed: true),
        Family(name: "AF_INET6", arguments: "10, 1, 0", isAllowed: true),
        Family(name: "raw ICMP", arguments: "2, 3, 1", isAllowed: true),
        Family(name: "NETLINK_ROUTE", arguments: "16, 3, 0", isAllowed: true),
        Family(name: "NETLINK_AUDIT", arguments: "16, 3, 9", isAllowed: false),
        Family(name: "NETLINK_NETFILTER", arguments: "16, 3, 12", isAllowed: false),
        Family(name: "AF_PACKET", arguments: "17, 3, 0x300", isAllowed: false),
        Family(name: "AF_ALG", arguments: "38, 5, 0", isAllowed: false),
        Family(name: "AF_VSOCK", arguments: "40, 1, 0", isAllowed: false),
        Family(name: "AF_TIPC", arguments: "30, 1, 0", isAllowed: false),
        // The kernel reads 32 bits of the argument: what lies above must not confuse the filter.
        Family(name: "AF_VSOCK with a high bit", arguments: "0x100000028, 1, 0", isAllowed: false),
    ]

    @Test(arguments: families) func `sockets are made of common families only`(_ family: Family) throws {
        let shim = try ShimProcess()
        let attack = Attack("syscall(41 if os.uname().machine == 'x86_64' else 198, \(family.arguments))")
        #expect(try attack.outcome(in: shim) == (family.isAllowed ? "done" : "EPERM"))
        if !family.isAllowed {
            // Made, or unknown to this kernel: the filter was what refused it.
            let outcome = try attack.outcome(in: shim, without: .noFilter)
            #expect(["done", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"].contains(outcome), "\(outcome)")
        }
    }

    static let requests = ["0x5412", "0x100005412", "0x541c"]

    @Test(arguments: requests) func `nothing can be typed into a terminal`(_ request: String) throws {
        let shim = try ShimProcess()
        let attack = Attack(
            """
            import fcntl, pty, termios
            main, second = pty.openpty()
            os.setsid() if os.getpid() != os.getsid(0) else None
            fcntl.ioctl(second, termios.TIOCSCTTY, 0)
            fcntl.ioctl(second, termios.TIOCGWINSZ, b'12345678')
            syscall(16 if os.uname().machine == 'x86_64' else 29, second, \(request), ctypes.c_char_p(b'x'))
            """)
        #expect(try attack.outcome(in: shim) == "EPERM")
        // EIO: kernels that can forbid it themselves (dev.tty.legacy_tiocsti).
        let outcome = try attack.outcome(in: shim, without: .noFilter)
        #expect(["done", "EIO", "ENOTTY"].contains(outcome), "\(outcome)")
    }

    #if arch(x86_64)
        @Test func `calls of other architectures do not exist`() throws {
            let shim = try ShimProcess()
            let attack = Attack(
                """
                import mmap
                code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
                code.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))
                run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
                outcomes = [run()]
                ctypes.set_errno(0)
                outcomes.append(libc.syscall(ctypes.c_long(0x40000000 + 39)))
                return ' '.join(str(n) if n < 0 else 'pid' for n in outcomes)
                """)
            #expect(try attack.outcome(in: shim) == "-38 -1")
        }
    #endif

    @Test(arguments: [
        "import threading; t = threading.Thread(target=print, args=('fine',)); t.start(); t.join()",
        "import subprocess; print(subprocess.check_output(['echo', 'fine'], text=True), end='')",
        "import multiprocessing as m; p = m.Process(target=print, args=('fine',)); p.start(); p.join()",
        "import asyncio; print(asyncio.run(asyncio.sleep(0, 'fine')))",
        "import os, tempfile; f = tempfile.NamedTemporaryFile(); os.mkfifo(f.name + 'x'); print('fine')",
        "import socket; a, b = socket.socketpair(); a.send(b'fine'); print(b.recv(9).decode())",
    ]) func `ordinary programs run under the filter`(_ program: String) throws {
        let shim = try ShimProcess()
        let result = try shim.runSecured(["/usr/bin/python3", "-c", program])
        #expect(result.stdout == "fine\n", "\(result.stderr)")
        #expect(result.exit.exitCode == 0)
    }
}
