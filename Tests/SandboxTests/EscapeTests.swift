import Engine
import Foundation
import Glibc
import Kernel
import Sandbox
import TestSupport
import Testing

/// Ways out of a sandbox, each tried as jobs are run and again without what stops it.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized)
struct EscapeTests {
    /// An attack and its outcome under several sandboxes.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let attack: Attack
        let outcomes: [(Weakness, Set<String>)]

        init(_ name: String, _ body: String, _ outcomes: [(Weakness, Set<String>)]) {
            self.name = name
            attack = Attack(body)
            self.outcomes = outcomes
        }

        var testDescription: String { name }
    }

    private static let noFilterAllCapabilities: Weakness = [.noFilter, .allCapabilities]

    /// The outcome where the host's kernel has no such file.
    private static func absent(_ path: String, or outcome: Set<String>) -> Set<String> {
        access(path, F_OK) == 0 ? outcome : ["ENOENT"]
    }

    static let mounts = [
        Case(
            "mount a file system", "call(libc.mount, b'none', b'/tmp', b'tmpfs', 0, None)",
            [
                ([], ["EPERM"]),
                // The mount namespace belongs to the host: no capability of the job's counts there.
                (noFilterAllCapabilities, ["EPERM"]), (.everything, ["done"]),
            ]),
        Case(
            "make /usr writable", "call(libc.mount, b'none', b'/usr', None, 0x1020, None)",
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM"]), (.everything, ["done"])]),
        Case(
            "take the mask off /proc/interrupts",
            """
            if open('/proc/interrupts').read(): return 'no mask'
            call(libc.umount2, b'/proc/interrupts', 2)
            if not open('/proc/interrupts').read(): return 'still masked'
            """,
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM"]), (.everything, ["done"])]),
        Case(
            "make /proc/sys writable",
            """
            call(libc.mount, b'none', b'/proc/sys', None, 0x1020, None)
            path = '/proc/sys/vm/swappiness'
            value = open(path).read()
            open(path, 'w').write(value)
            """,
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM"]), (.everything, ["done"])]),
        Case(
            "climb out with chroot",
            """
            root = os.stat('/')
            os.chdir('/tmp')
            os.mkdir('cell')
            os.chroot('cell')
            for _ in range(20): os.chdir('..')
            os.chroot('.')
            now = os.stat('/')
            return 'sandbox' if (now.st_dev, now.st_ino) == (root.st_dev, root.st_ino) else 'escaped'
            """,
            [
                ([], ["EPERM"]), (.noFilter, ["EPERM"]),
                // Even with the capability there is nothing above: the host's root was not hidden but unmounted.
                (noFilterAllCapabilities, ["sandbox"]), (.everything, ["sandbox"]),
            ]),
        Case(
            "open a file by its handle", "syscall(304 if os.uname().machine == 'x86_64' else 265, -1, 0, 0)",
            [([], ["EPERM"]), (.everything, ["EFAULT", "EBADF"])]),
    ]

    static let devices = [
        Case(
            "make a disk's device node",
            """
            os.mknod('/work/disk', 0o60600, os.makedev(254, 0))
            os.open('/work/disk', os.O_RDONLY)
            """,
            // With every right it can be made, but /work is mounted without devices.
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM"]), (.everything, ["EACCES"])]),
        Case(
            "write to the root", "open('/evil', 'w')", [([], ["EROFS"]), (.everything, ["EROFS"])]),
        Case(
            "add a device to /dev", "os.mknod('/dev/mem2', 0o20600, os.makedev(1, 1))",
            [([], ["EPERM", "EROFS"]), (.everything, ["EROFS"])]),
    ]

    static let kernel = [
        Case(
            "read kernel memory", "return str(len(open('/proc/kcore', 'rb').read(64)))",
            [([], absent("/proc/kcore", or: ["0"]))]),
        Case(
            "use sysrq", "open('/proc/sysrq-trigger', 'w').write('h')",
            [
                ([], absent("/proc/sysrq-trigger", or: ["EACCES", "EROFS"])),
                (noFilterAllCapabilities, absent("/proc/sysrq-trigger", or: ["EACCES", "EROFS"])),
                (.hostRoot, absent("/proc/sysrq-trigger", or: ["EROFS"])),
            ]),
        Case(
            "write a sysctl", "open('/proc/sys/kernel/core_pattern', 'w').write('|/work/x')",
            [([], ["EACCES", "EROFS"]), (.hostRoot, ["EROFS"])]),
        Case(
            "set a trigger of pressure", "open('/proc/pressure/memory', 'w').write('some 150000 2000000')",
            [([], ["EACCES", "EROFS"]), (.hostRoot, ["EROFS"])]),
        Case(
            "see kernel symbols", "return str(len(open('/proc/kallsyms').read(64)))",
            [([], ["0"]), (.hostRoot, ["0"])]),
        Case(
            "see page flags", "return str(len(open('/proc/kpageflags', 'rb').read(8)))",
            [([], ["EACCES"]), (.hostRoot, ["0"])]),
        Case("see sysfs", "return ' '.join(sorted(os.listdir('/sys')))", [([], ["devices"])]),
        Case(
            "see control groups", "return ' '.join(os.listdir('/sys/fs/cgroup'))",
            [([], ["ENOENT"]), (.everything, ["ENOENT"])]),
        Case(
            "mount control groups", "call(libc.mount, b'none', b'/tmp', b'cgroup2', 0, None)",
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM"])]),
        Case(
            "change the host name", "call(libc.sethostname, b'evil', 4)",
            // The uts namespace belongs to the host, too.
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM"]), (.everything, ["done"])]),
        Case(
            "set the clock", "call(libc.clock_settime, 0, (ctypes.c_long * 2)(-1, 0))",
            [([], ["EPERM"]), (noFilterAllCapabilities, ["EPERM", "EINVAL"]), (.everything, ["EINVAL"])]),
    ]

    static let namespaces = [
        Case(
            "make a user namespace", "call(libc.unshare, 0x10000000)",
            [([], ["EPERM"]), (.noFilter, ["done"])]),
        Case(
            "make a user namespace with clone",
            """
            pid = syscall(56 if os.uname().machine == 'x86_64' else 220, 0x10000000 | 17, 0, 0, 0, 0)
            if pid == 0: os._exit(0)
            os.waitpid(pid, 0)
            """,
            [([], ["EPERM"]), (.noFilter, ["done"])]),
        Case(
            "make a user namespace with clone3", "syscall(435, 0, 0)",
            [([], ["ENOSYS"]), (.noFilter, ["EINVAL"])]),
        Case(
            "trace another process",
            """
            pid = os.fork()
            if pid == 0:
                import signal
                signal.pause()
            try:
                call(libc.ptrace, 16, pid, None, None)
            finally:
                os.kill(pid, 9)
            """,
            [([], ["EPERM"]), (.noFilter, ["done"])]),
        Case(
            "be traced by one's parent",
            """
            pid = os.fork()
            if pid == 0:
                os._exit(0 if libc.ptrace(0, 0, None, None) == 0 else 1)
            _, status = os.waitpid(pid, 0)
            return 'done' if status == 0 else 'refused'
            """,
            [([], ["done"])]),
        Case(
            "change the memory layout", "call(libc.personality, 0x0040000)",
            [([], ["EPERM"]), (.noFilter, ["done"])]),
        Case("ask for the personality", "call(libc.personality, ctypes.c_ulong(0xffffffff))", [([], ["done"])]),
    ]

    @Test(arguments: mounts + devices + kernel + namespaces)
    func `a way out is closed, and open only without what closes it`(_ attempt: Case) throws {
        let shim = try ShimProcess()
        for (weakness, expected) in attempt.outcomes {
            let outcome = try attempt.attack.outcome(in: shim, without: weakness)
            #expect(expected.contains(outcome), "\(attempt.name) without \(weakness.rawValue): \(outcome)")
        }
    }

    @Test func `what a job with every right does to its name and mounts stays in its sandbox`() throws {
        let shim = try ShimProcess()
        let before = (try readText("/proc/sys/kernel/hostname"), try readText("/proc/self/mountinfo"))
        let attack = Attack(
            """
            call(libc.sethostname, b'evil', 4)
            call(libc.mount, b'none', b'/tmp', b'tmpfs', 0, None)
            call(libc.mount, b'none', b'/', None, 0x44000, None)
            if os.uname().nodename != 'evil': return 'no'
            """)
        #expect(try attack.outcome(in: shim, without: .everything) == "done")
        #expect(try readText("/proc/sys/kernel/hostname") == before.0)
        #expect(try readText("/proc/self/mountinfo") == before.1)
    }
}
