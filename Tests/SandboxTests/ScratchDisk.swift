import Glibc
import Kernel
import TestSupport

/// A small file system of a test's own, which can be frozen.
///
/// A shell owns it: it thaws and unmounts when the test says so, and when the test is gone, however it ended.
final class ScratchDisk {
    let directory: TemporaryDirectory
    var path: String { directory.path + "/disk" }
    private let shell: pid_t
    private var commands: FileDescriptor?
    private let answers: FileDescriptor

    enum Kind: String, CaseIterable {
        case ext4
        case tmpfs
    }

    init(_ kind: Kind, megabytes: Int) throws {
        directory = try TemporaryDirectory(name: "joblet-disk")
        try Directory.create(directory.path + "/disk")
        let mount =
            switch kind {
            case .ext4:
                "truncate -s \(megabytes)M image && mkfs.ext4 -q -F -O ^has_journal image && mount -o loop image disk"
            case .tmpfs: "mount -t tmpfs -o size=\(megabytes)m none disk"
            }
        let script = """
            cd \(directory.path) && \(mount) || exit 1
            echo ok
            while read -r command; do
                if $command disk; then echo ok; else echo failed; fi
            done
            fsfreeze -u disk 2>/dev/null
            cd / && umount -l \(directory.path)/disk
            """
        let (toShell, fromShell) = (try Pipe(), try Pipe())
        shell = try spawn(
            ["/bin/sh", "-c", script], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            descriptors: [(toShell.readEnd.number, 0), (fromShell.writeEnd.number, 1)])
        commands = toShell.writeEnd
        answers = fromShell.readEnd
        try waitForAnswer()
    }

    deinit {
        commands = nil
        waitpid(shell, nil, 0)
    }

    func freeze() throws { try order("fsfreeze -f\n") }
    func thaw() throws { try order("fsfreeze -u\n") }

    /// The bytes that are free.
    func free() throws -> Int {
        var status = statvfs()
        try retrying("statvfs") { statvfs(path, &status) }
        return Int(status.f_bavail) * Int(status.f_bsize)
    }

    private func order(_ command: String) throws {
        guard let commands else { return }
        try retrying("write") { write(commands.number, command, command.utf8.count) }
        try waitForAnswer()
    }

    private func waitForAnswer() throws {
        var answer = [UInt8](repeating: 0, count: 16)
        let count = try retrying("read") { read(answers.number, &answer, answer.count) }
        guard answer.prefix(count).starts(with: "ok\n".utf8) else { throw SystemCallError("scratch disk", code: EIO) }
    }
}
